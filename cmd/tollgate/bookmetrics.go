package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollgate/model"
)

// Metrics of the checks of the books. Every control plane and worker has them all: they
// are read from the database, so take the greatest, not the sum.
var (
	descCheckWrong  = prometheus.NewDesc("tollgate_check_wrong", "How much does not hold of a check of the books.", []string{"check"}, nil)
	descCheckAge    = prometheus.NewDesc("tollgate_check_age_seconds", "Since a check of the books ran; checks that never ran are left out.", []string{"check"}, nil)
	descCheckFigure = prometheus.NewDesc("tollgate_check_figure", "What a check of the books compared.", []string{"check", "figure"}, nil)
)

// bookMetrics tells what the checks of the books found.
type bookMetrics struct {
	read func(context.Context) ([]model.Check, error)
}

// Describe names the metrics.
func (bookMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- descCheckWrong
	ch <- descCheckAge
	ch <- descCheckFigure
}

// Collect reads what was found last; nothing, where the database does not answer.
func (m bookMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := m.read(ctx)
	if err != nil {
		return
	}
	for _, c := range all {
		if c.RanAt.IsZero() {
			continue
		}
		ch <- prometheus.MustNewConstMetric(descCheckWrong, prometheus.GaugeValue, float64(c.Wrong), c.Name)
		ch <- prometheus.MustNewConstMetric(descCheckAge, prometheus.GaugeValue, max(0, time.Since(c.RanAt).Seconds()), c.Name)
		for _, f := range c.Figures {
			ch <- prometheus.MustNewConstMetric(descCheckFigure, prometheus.GaugeValue, float64(f.N), c.Name, f.Name)
		}
	}
}
