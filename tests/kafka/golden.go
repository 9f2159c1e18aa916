package kafka

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// golden is what Apache Kafka answered to a script.
type golden struct {
	broker  string // its name and version
	key     string
	answers map[int16]map[string][]line // by version and step
}

func goldenPath(script string) string { return "testdata/" + script + ".golden" }

// text is the golden file: for each step the answers, with the versions that had them.
func (g *golden) text(s *script) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", g.broker, g.key)
	versions := g.versions()
	for _, st := range s.Steps {
		fmt.Fprintf(&b, "\n## %s\n", st.Name)
		for i := 0; i < len(versions); {
			lines, ok := g.answers[versions[i]][st.Name]
			if !ok {
				i++
				continue
			}
			end := i
			for end+1 < len(versions) {
				next, ok := g.answers[versions[end+1]][st.Name]
				if !ok || !slices.Equal(next, lines) {
					break
				}
				end++
			}
			fmt.Fprintf(&b, "v%d-%d\n", versions[i], versions[end])
			for _, l := range lines {
				fmt.Fprintf(&b, "  %s\n", l)
			}
			i = end + 1
		}
	}
	return b.String()
}

func (g *golden) versions() []int16 {
	var out []int16
	for v := range g.answers {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// readGolden reads what text wrote.
func readGolden(path string) (*golden, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g := &golden{answers: map[int16]map[string][]line{}}
	var step string
	var at span
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		text := in.Text()
		switch {
		case n == 1:
			g.broker, g.key, _ = strings.Cut(text, ": ")
		case text == "":
		case strings.HasPrefix(text, "## "):
			step = text[3:]
		case strings.HasPrefix(text, "  "):
			path, value, ok := strings.Cut(text[2:], ": ")
			if !ok {
				return nil, fmt.Errorf("%s:%d: no value", goldenPath(g.key), n)
			}
			for v := at.min; v <= at.max; v++ {
				g.answers[v][step] = append(g.answers[v][step], line{path, value})
			}
		default:
			if _, err := fmt.Sscanf(text, "v%d-%d", &at.min, &at.max); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
			for v := at.min; v <= at.max; v++ {
				if g.answers[v] == nil {
					g.answers[v] = map[string][]line{}
				}
				g.answers[v][step] = nil
			}
		}
	}
	return g, in.Err()
}
