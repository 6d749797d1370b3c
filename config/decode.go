package config

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
)

// decoder turns expressions into values. Each of its methods leaves out as it was,
// which is the default, when the expression is missing or wrong; of what is wrong
// it takes note.
type decoder struct {
	path    string // what was loaded
	files   map[string]*hcl.File
	blocks  map[string]bool // the types of those at the top, be they right or not
	context *hcl.EvalContext
	diags   hcl.Diagnostics
	misread bool // a text is no HCL
}

func (d *decoder) error(at hcl.Range, summary, detail string, args ...any) {
	d.diags = append(d.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  summary,
		Detail:   fmt.Sprintf(detail, args...),
		Subject:  &at,
	})
}

// evalContext is what an expression may use: env("NAME", "default").
func evalContext() *hcl.EvalContext {
	text := function.Parameter{Name: "name", Type: cty.String}
	fallback := function.Parameter{Name: "default", Type: cty.String}
	env := function.New(&function.Spec{
		Params:   []function.Parameter{text},
		VarParam: &fallback,
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) > 2 {
				return cty.NilVal, fmt.Errorf("want env(\"NAME\") or env(\"NAME\", \"default\"), not %d arguments", len(args))
			}
			if v, ok := os.LookupEnv(args[0].AsString()); ok {
				return cty.StringVal(v), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, fmt.Errorf("there is no %s in the environment; set it, or give a default: env(%[1]q, \"…\")", args[0].AsString())
		},
	})
	return &hcl.EvalContext{Functions: map[string]function.Function{"env": env}}
}

// raw evaluates e. It is not ok when e is missing, null or in error.
func (d *decoder) raw(e hcl.Expression) (v cty.Value, ok bool) {
	if e == nil {
		return cty.NilVal, false
	}
	v, diags := e.Value(d.context)
	d.diags = append(d.diags, diags...)
	return v, !diags.HasErrors() && !v.IsNull() && v.IsWhollyKnown()
}

// value evaluates e and wants a type.
func (d *decoder) value(e hcl.Expression, want cty.Type, summary, wanted string) (v cty.Value, ok bool) {
	v, ok = d.raw(e)
	if !ok {
		return v, false
	}
	// A number could be made a string, but a long one: 1e999999999.
	if v.Type() == cty.Number && want == cty.String {
		d.error(e.Range(), summary, "Want %s, not %s.", wanted, d.source(e))
		return v, false
	}
	converted, err := convert.Convert(v, want)
	if err != nil || converted.IsNull() {
		d.error(e.Range(), summary, "Want %s, not %s.", wanted, d.source(e))
		return v, false
	}
	return converted, true
}

// source is the text of an expression, for a complaint.
func (d *decoder) source(e hcl.Expression) string {
	r := e.Range()
	text, _, more := strings.Cut(string(r.SliceBytes(d.files[r.Filename].Bytes)), "\n")
	if more {
		text += " …"
	}
	return text
}

// given says whether an argument is there at all.
func (d *decoder) given(e hcl.Expression) bool {
	if e == nil {
		return false
	}
	v, diags := e.Value(d.context)
	return diags.HasErrors() || !v.IsNull()
}

// first is the place of the first of the arguments that is given: when two don't
// go together and one of them is a default, the other one is to be changed.
func (d *decoder) first(es ...hcl.Expression) hcl.Range {
	i := slices.IndexFunc(es, d.given)
	return es[max(i, 0)].Range()
}

func (d *decoder) text(e hcl.Expression, out *string) bool {
	const summary, wanted = "Bad text", "text in quotes that is not empty"
	v, ok := d.value(e, cty.String, summary, wanted)
	if !ok {
		return false
	}
	if v.AsString() == "" {
		d.error(e.Range(), summary, "Want %s, not %s.", wanted, d.source(e))
		return false
	}
	*out = v.AsString()
	return true
}

func (d *decoder) flag(e hcl.Expression, out *bool) {
	if v, ok := d.value(e, cty.Bool, "Bad flag", "true or false"); ok {
		*out = v.True()
	}
}

// oneOf wants one of a few words.
func (d *decoder) oneOf(e hcl.Expression, out *string, words ...string) bool {
	wanted := "one of " + strings.Join(words, ", ")
	v, ok := d.value(e, cty.String, "Unknown value", wanted)
	if !ok {
		return false
	}
	if word := v.AsString(); !slices.Contains(words, word) {
		d.error(e.Range(), "Unknown value", "Want %s, not %q.%s", wanted, word, didYouMean(word, words))
		return false
	}
	*out = v.AsString()
	return true
}

// didYouMean suggests a word that looks like the given one, or says nothing.
func didYouMean(given string, words []string) string {
	for _, w := range words {
		if levenshtein.Distance(given, w, nil) < 3 && len(given) > 2 {
			return fmt.Sprintf(" Did you mean %q?", w)
		}
	}
	return ""
}

// count wants a whole number without a unit.
func (d *decoder) count(e hcl.Expression, out *int, least, most int64) bool {
	wanted := fmt.Sprintf("a whole number from %d to %d", least, most)
	v, ok := d.value(e, cty.Number, "Bad number", wanted)
	if !ok {
		return false
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n < least || n > most {
		d.error(e.Range(), "Bad number", "Want %s, not %s.", wanted, d.source(e))
		return false
	}
	*out = int(n)
	return true
}

// factor wants a number above 1, which need not be whole.
func (d *decoder) factor(e hcl.Expression, out *float64, most float64) {
	wanted := fmt.Sprintf("a number above 1 and up to %g, such as %g", most, *out)
	v, ok := d.value(e, cty.Number, "Bad number", wanted)
	if !ok {
		return
	}
	if f, _ := v.AsBigFloat().Float64(); f > 1 && f <= most {
		*out = f
		return
	}
	d.error(e.Range(), "Bad number", "Want %s, not %s.", wanted, d.source(e))
}

// A duration is never so short that timers are all that a node does, nor so long
// that arithmetic with it could overflow.
const (
	minDuration = time.Millisecond
	maxDuration = 24 * time.Hour
)

func (d *decoder) duration(e hcl.Expression, out *time.Duration) {
	wanted := fmt.Sprintf("a number with a unit (ms, s, m, h), from 1ms to 24h, such as %q", out.String())
	v, ok := d.value(e, cty.String, "Bad duration", wanted)
	if !ok {
		return
	}
	t, err := time.ParseDuration(v.AsString())
	if err != nil || t < minDuration || t > maxDuration {
		d.error(e.Range(), "Bad duration", "Want %s, not %q.", wanted, v.AsString())
		return
	}
	*out = t
}

// durationOrOff wants a duration, or "off", which is 0.
func (d *decoder) durationOrOff(e hcl.Expression, out *time.Duration, such string) {
	wanted := fmt.Sprintf("\"off\", or a number with a unit (ms, s, m, h), from 1ms to 24h, such as %q", such)
	v, ok := d.value(e, cty.String, "Bad duration", wanted)
	if !ok {
		return
	}
	t, err := time.ParseDuration(v.AsString())
	switch {
	case v.AsString() == "off":
		*out = 0
	case err != nil || t < minDuration || t > maxDuration:
		d.error(e.Range(), "Bad duration", "Want %s, not %q.", wanted, v.AsString())
	default:
		*out = t
	}
}

// fraction wants a number from 0 to most, which need not be whole.
func (d *decoder) fraction(e hcl.Expression, out *float64, most float64) {
	wanted := fmt.Sprintf("a number from 0 to %g, such as %g", most, *out)
	v, ok := d.value(e, cty.Number, "Bad number", wanted)
	if !ok {
		return
	}
	if f, _ := v.AsBigFloat().Float64(); f >= 0 && f <= most {
		*out = f
		return
	}
	d.error(e.Range(), "Bad number", "Want %s, not %s.", wanted, d.source(e))
}

func (d *decoder) size(e hcl.Expression, out *int64, least, most int64) {
	wanted := fmt.Sprintf("a number with a unit (B, KiB, MiB, GiB), from %s to %s, such as %s",
		formatSize(least), formatSize(most), strconv.Quote(formatSize(*out)))
	v, ok := d.value(e, cty.String, "Bad size", wanted)
	if !ok {
		return
	}
	n, err := parseSize(v.AsString())
	switch {
	case err != nil:
		d.error(e.Range(), "Bad size", "Want %s, not %q: %v.", wanted, v.AsString(), err)
	case n < least || n > most:
		d.error(e.Range(), "Bad size", "Want %s, not %q.", wanted, v.AsString())
	default:
		*out = n
	}
}
