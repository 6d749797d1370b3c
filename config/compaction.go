package config

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A period is noted in tenths, and history that is kept for over a year is not compacted
// by itself.
const (
	minPeriod    = time.Second
	maxPeriod    = 365 * 24 * time.Hour
	maxRevisions = 1e12
)

// autoCompaction decodes the block, whose retention means what its mode says.
func (d *decoder) autoCompaction(f *fileAutoCompaction, out *AutoCompaction) {
	if f == nil {
		return
	}
	mode := "off"
	if !d.given(f.Mode) {
		d.missing(f.Range, "auto_compaction", "mode", `"periodic"`)
		return
	}
	if !d.oneOf(f.Mode, &mode, "off", "periodic", "revision") || mode == "off" {
		return
	}
	if !d.given(f.Retention) {
		such := `"1h"`
		if mode == "revision" {
			such = "10000"
		}
		d.missing(f.Range, "auto_compaction", "retention", such)
		return
	}
	if mode == "revision" {
		d.count(f.Retention, &out.Revisions, 1, maxRevisions)
		return
	}
	d.period(f.Retention, &out.Period)
}

func (d *decoder) period(e hcl.Expression, out *time.Duration) {
	const summary, wanted = "Bad period", `a number with a unit (s, m, h), from 1s to 8760h, such as "1h"`
	v, ok := d.value(e, cty.String, summary, wanted)
	if !ok {
		return
	}
	t, err := time.ParseDuration(v.AsString())
	if err != nil || t < minPeriod || t > maxPeriod {
		d.error(e.Range(), summary, "Want %s, not %q.", wanted, v.AsString())
		return
	}
	*out = t
}
