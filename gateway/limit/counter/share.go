package counter

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"tollgate/model"
)

// prefix begins the keys of a tenant's buckets.
func prefix(tenant uint32) string { return "tollgate:{" + strconv.FormatUint(uint64(tenant), 10) + "." }

// Name is the key of a subscription's bucket; those of its methods go on behind it.
func Name(tenant uint32, subscription uint64) string {
	return prefix(tenant) + strconv.FormatUint(subscription, 10) + "}"
}

// Share lets who has a password ask for the buckets of one tenant, and for nothing else of
// the server: it may run the one script, which is put there, on these keys. It returns the
// server's address with that user, also where the server could not be told yet. Shared again with the same password nothing changes, so
// that a server that forgot its users and scripts is told anew.
func Share(ctx context.Context, address, user, password string, tenant uint32) (string, error) {
	o, err := options(address)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(user, password)
	client, err := rueidis.NewClient(o)
	if err != nil {
		return u.String(), model.Errorf(model.Unavailable, "the counters' server does not answer: %v", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rights := strings.Fields("reset on resetkeys -@all +evalsha +get +set +time +ping +hello +select +client|setname +cluster|slots +cluster|shards")
	rights = append(rights, ">"+password, "~"+prefix(tenant)+"*")
	var all error
	for _, node := range client.Nodes() {
		for _, r := range node.DoMulti(ctx, node.B().ScriptLoad().Script(drawText).Build(), node.B().AclSetuser().Username(user).Rule(rights...).Build()) {
			all = errors.Join(all, r.Error())
		}
	}
	if all != nil {
		return u.String(), model.Errorf(model.Unavailable, "the counters' server makes no user: %v: who connects to it needs the commands ACL SETUSER and SCRIPT LOAD (Redis 7 or Valkey)", all)
	}
	return u.String(), nil
}
