package main

import (
	"errors"
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/pmmc-go/pmmc/test/bench/load"
)

// plotSteps is how many rates a plot has.
const plotSteps = 10

// runPlot finds the highest rate, in a closed loop, measures at shares of it in an open
// one, and draws latency against load.
func (f *benchFlags) runPlot(c *cobra.Command, clients []pb.KVClient) error {
	peak := f.measure(c, clients, 0).Rate()
	if peak == 0 {
		return errors.New("nothing was answered: there is nothing to draw")
	}
	var points []load.Line
	for i := 1; i <= plotSteps && c.Context().Err() == nil; i++ {
		rate := peak * float64(i) / plotSteps
		r := f.measure(c, clients, rate)
		line := load.LineOf(f.what, f.clients, r)
		line.Rate = rate // as intended
		points = append(points, line)
		if _, err := fmt.Fprintf(c.OutOrStdout(), "at %6.0f/s: %s\n", rate, r); err != nil {
			return err
		}
	}
	out, err := os.Create(f.plot)
	if err != nil {
		return err
	}
	return errors.Join(chart.Execute(out, newPlot(f.what+", latency against load", points)), out.Close())
}

// plot is a chart of latencies, on a scale of powers of ten, against rates.
type plot struct {
	Title  string
	Curves []curve
	Across []gridLine // latencies
	Up     []gridLine // rates
}

type curve struct{ Name, Colour, Points string }

type gridLine struct {
	At   float64
	Name string
}

// The chart's area, in pixels.
const left, right, top, bottom = 70.0, 600.0, 40.0, 360.0

func newPlot(title string, points []load.Line) plot {
	p := plot{Title: title}
	lowest, highest, fastest := math.Inf(1), 1.0, 1.0
	for _, l := range points {
		lowest, highest, fastest = min(lowest, max(l.P50, 1)), max(highest, l.P999), max(fastest, l.Rate)
	}
	from, to := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	x := func(rate float64) float64 { return left + (right-left)*rate/fastest }
	y := func(us float64) float64 {
		return bottom - (bottom-top)*(math.Log10(max(us, 1))-from)/max(to-from, 1)
	}
	for power := from; power <= to; power++ {
		us := math.Pow(10, power)
		p.Across = append(p.Across, gridLine{y(us), time.Duration(us * 1000).String()})
	}
	for i := range plotSteps/2 + 1 {
		rate := fastest * float64(i) / (plotSteps / 2)
		p.Up = append(p.Up, gridLine{x(rate), fmt.Sprintf("%.0f/s", rate)})
	}
	for _, c := range []struct {
		name, colour string
		of           func(load.Line) float64
	}{
		{"p50", "#1b7837", func(l load.Line) float64 { return l.P50 }},
		{"p99", "#2166ac", func(l load.Line) float64 { return l.P99 }},
		{"p99.9", "#b2182b", func(l load.Line) float64 { return l.P999 }},
	} {
		var at []string
		for _, l := range points {
			at = append(at, fmt.Sprintf("%.1f,%.1f", x(l.Rate), y(c.of(l))))
		}
		p.Curves = append(p.Curves, curve{c.name, c.colour, strings.Join(at, " ")})
	}
	return p
}

var chart = template.Must(template.New("chart").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="11">
<rect width="640" height="400" fill="white"/>
<text x="70" y="22" font-size="14">{{.Title}}</text>
{{range .Across}}<line x1="70" x2="600" y1="{{.At}}" y2="{{.At}}" stroke="#ddd"/><text x="64" y="{{.At}}" dy="4" text-anchor="end">{{.Name}}</text>
{{end}}{{range .Up}}<line x1="{{.At}}" x2="{{.At}}" y1="40" y2="360" stroke="#eee"/><text x="{{.At}}" y="378" text-anchor="middle">{{.Name}}</text>
{{end}}{{range $i, $c := .Curves}}<polyline points="{{.Points}}" fill="none" stroke="{{.Colour}}" stroke-width="2"/>
<text x="{{if eq $i 0}}440{{else if eq $i 1}}490{{else}}540{{end}}" y="22" fill="{{.Colour}}">{{.Name}}</text>
{{end}}</svg>
`))
