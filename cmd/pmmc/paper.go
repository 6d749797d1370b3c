package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pmmc-go/pmmc/docs/figures"
)

const paperHelp = `Show a figure of "Paxos Made Moderately Complex" in our notation, and beside each of
its lines the code of this program that does it. Where the two differ, the code says
"Divergence", and docs/paper.md says why.

⟨…⟩ is a message or a tuple, ⊥ the ballot below all; a pvalue ⟨b, s, c⟩ is a command
c for a slot s under a ballot b. pmax(P) takes for each slot in P the command of the
pvalue with the highest ballot; x ◁ y is y, and what x has for slots that y lacks.
λ is a leader, α an acceptor, κ a client.`

func newPaper() *cobra.Command {
	var all []*cobra.Command
	for _, f := range figures.All {
		all = append(all, newPaperFigure(f))
	}
	return onlyChildren(&cobra.Command{
		Use:     "paper",
		Short:   "Show the paper's figures beside the code",
		Long:    paperHelp,
		Example: "  pmmc paper acceptor\n  pmmc paper leader | less",
	}, all...)
}

func newPaperFigure(f figures.Figure) *cobra.Command {
	return &cobra.Command{
		Use:   f.Name,
		Short: fmt.Sprintf("Fig. %-4s  %s", f.Number, f.Does),
		Long: fmt.Sprintf(`Show Fig. %s, %s, beside the code that does it. It is as wide as the
terminal, or as COLUMNS says; NO_COLOR=1 does without colours.`, f.Number, f.Title),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			width, colours := screen(c.OutOrStdout())
			out := bufio.NewWriter(c.OutOrStdout())
			printFigure(out, f, width, colours)
			return out.Flush()
		},
	}
}

// plainWidth is how wide lines are where there is no terminal.
const plainWidth = 160

// isTerminal tells whether somebody looks at what is written.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// screen tells how wide lines may be, and whether they may have colours.
func screen(out io.Writer) (width int, colours bool) {
	width = plainWidth
	if file, ok := out.(*os.File); ok && isTerminal(out) {
		colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(file.Fd())); err == nil && w > 0 {
			width = w
		}
	}
	if w, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && w > 0 {
		width = w
	}
	return width, colours
}
