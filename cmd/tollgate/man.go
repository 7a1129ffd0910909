package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"tollgate/model"
)

func manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "man --dir DIR", Short: "Write a manual page of every command", Args: cobra.NoArgs,
		Example: "  tollgate man --dir /usr/local/share/man/man1",
		RunE: work(func(cmd *cobra.Command, _ []string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return model.Errorf(model.Unavailable, "the directory cannot be made: %v", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "TOLLGATE", Section: "1", Source: "Tollgate " + version, Manual: "Tollgate"}, dir); err != nil {
				return model.Errorf(model.Unavailable, "the pages cannot be written: %v", err)
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "wrote the manual pages to", dir)
			return err
		}),
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory to write to")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
