package demo

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Screen is where a run is shown.
type Screen struct {
	Out io.Writer
	// Size returns the terminal's width and height; nil is no terminal, and
	// plain lines are printed instead.
	Size func() (width, height int)
	// Color and Unicode say what the terminal can show.
	Color, Unicode bool
	// Notes stand below the title: the server's promise, its warnings.
	Notes []string
	// Try are commands to paste.
	Try []string
}

// Intervals of redrawing and of plain lines.
const (
	redraw = 250 * time.Millisecond
	report = 2 * time.Second
	past   = 36 // seconds of history shown
)

// flow is one row of rates.
type flow struct {
	name    string
	total   func() int64
	latency *hist
	lag     *lagMeter // nil for the producer
	last    int64
	rates   []int // events a second, oldest first
}

// sample adds the second that just passed.
func (f *flow) sample(seconds float64) {
	n := f.total()
	f.rates = append(f.rates, int(float64(n-f.last)/seconds+0.5))
	f.last = n
	if len(f.rates) > past {
		f.rates = f.rates[1:]
	}
	f.latency.tick()
}

// rate is the mean of the last three seconds.
func (f *flow) rate() int64 {
	n := min(3, len(f.rates))
	if n == 0 {
		return 0
	}
	sum := 0
	for _, v := range f.rates[len(f.rates)-n:] {
		sum += v
	}
	return int64(sum / n)
}

// show draws the run until ctx ends.
func (r *run) show(ctx context.Context) error {
	flows := []*flow{
		{name: "put", total: r.sent.count, latency: &r.put},
		{name: "leaderboard", total: r.board.tally.count, latency: &r.board.latency, lag: &r.board.lag},
		{name: "archive", total: func() int64 { n, _, _ := r.archive.stats(); return n }, latency: &r.archive.latency, lag: &r.archive.lag},
	}
	every, draw := report, r.line
	if r.Screen.Size != nil {
		every, draw = redraw, r.frame
		io.WriteString(r.Screen.Out, enterScreen)
		defer io.WriteString(r.Screen.Out, leaveScreen)
	}
	timer := r.Clock.NewTimer(0)
	defer timer.Stop()
	sampled := r.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
			timer.Reset(every)
		}
		now := r.Clock.Now()
		if d := now.Sub(sampled); d >= time.Second {
			for _, f := range flows {
				f.sample(d.Seconds())
			}
			sampled = now
		}
		io.WriteString(r.Screen.Out, draw(flows))
	}
}

// line is the plain form.
func (r *run) line(flows []*flow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6s", r.Clock.Now().Sub(r.began).Round(time.Second))
	for _, f := range flows {
		p50, p99 := f.latency.recent(.5, .99)
		fmt.Fprintf(&b, " | %s %s/s, %s, p50 %s p99 %s", f.name, count(f.rate()), count(f.total()), span(p50), span(p99))
	}
	if rows, _, _ := r.board.top(1); len(rows) > 0 {
		fmt.Fprintf(&b, " | first %s %d APM", rows[0].id, rows[0].apm)
	}
	return b.String() + "\n"
}

// frame is the form for a terminal, redrawn in place.
func (r *run) frame(flows []*flow) string {
	width, height := r.Screen.Size()
	p := &painter{width: width, height: height, color: r.Screen.Color, unicode: r.Screen.Unicode}
	rows, players, matches := r.board.top(10)

	p.line(bold("  thalweg demo  "), plain(r.Title), right(clockText(r.Clock.Now().Sub(r.began))+"  "))
	for _, n := range r.Screen.Notes {
		p.line(dim("  " + n))
	}
	p.line()
	p.line(head(fmt.Sprintf("  %-12s %9s %12s %9s %9s %8s   ", "FLOW", "events/s", "total", "p50", "p99", "behind")), dim("last "+strconv.Itoa(past)+" s"))
	for _, f := range flows {
		p50, p99 := f.latency.recent(.5, .99)
		behind := ""
		if f.lag != nil {
			behind = span(f.lag.worst())
		}
		p.line(plain(fmt.Sprintf("  %-12s ", f.name)), strong(fmt.Sprintf("%9s", count(f.rate()))),
			plain(fmt.Sprintf(" %12s %9s %9s %8s   ", count(f.total()), span(p50), span(p99), behind)), graph(p.spark(f.rates)))
	}
	p.line(dim("  put: the call until its answer. leaderboard, archive: from put until the application has the event."))
	p.line()
	p.line(head(fmt.Sprintf("  %-29s %-8s %5s  %-12s %9s %5s  %s", "LEADERBOARD", "", "APM", "last minute", "actions", "wins", "playing on")))
	fixed := len(r.Screen.Notes) + len(r.Screen.Try) + 15
	shown := rows[:min(len(rows), max(height-fixed, 3))]
	for i, row := range shown {
		name := plain
		if i == 0 {
			name = first
		}
		p.line(dim(fmt.Sprintf("  %2d  ", i+1)), name(fmt.Sprintf("%-25s", clip(row.id, 25))), plain(fmt.Sprintf(" %-8s ", clip(row.faction, 8))),
			strong(fmt.Sprintf("%5d", row.apm)), plain("  "), graph(p.spark(row.bars)),
			plain(fmt.Sprintf(" %9s %5d  ", count(row.actions), row.wins)), dim(row.place))
	}
	p.line(dim(fmt.Sprintf("      %s players in %s matches", count(int64(players)), count(int64(matches)))))
	p.line()
	_, files, size := r.archive.stats()
	p.line(head("  ARCHIVE      "), plain(fmt.Sprintf("%s files, %s in ", count(int64(files)), bytesText(size))), plain(r.Dest))
	p.line()
	p.line(head("  TRY          "), dim("in another terminal"))
	for _, t := range r.Screen.Try {
		p.line(plain("    "), command(t))
	}
	p.last(dim("  Ctrl-C stops the players and checks that every event arrived at both applications."))
	return p.b.String()
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// painter lays lines out for one frame.
type painter struct {
	b              strings.Builder
	width, height  int
	color, unicode bool
	lines          int
}

// piece is text in one style; right pieces are pushed to the line's end.
type piece struct {
	text, style string
	right       bool
}

func plain(s string) piece   { return piece{text: s} }
func bold(s string) piece    { return piece{text: s, style: "1;36"} }
func head(s string) piece    { return piece{text: s, style: "36"} }
func strong(s string) piece  { return piece{text: s, style: "1"} }
func first(s string) piece   { return piece{text: s, style: "1;33"} }
func dim(s string) piece     { return piece{text: s, style: "2"} }
func graph(s string) piece   { return piece{text: s, style: "32"} }
func command(s string) piece { return piece{text: s, style: "33"} }
func right(s string) piece   { return piece{text: s, style: "2", right: true} }

// line draws pieces, cut to the width. What does not fit the height above the
// last line is left out.
func (p *painter) line(pieces ...piece) {
	if p.lines++; p.lines < p.height {
		p.row(pieces)
		p.b.WriteString("\r\n")
	}
}

// last is line for the last one: nothing below it is left standing.
func (p *painter) last(pieces ...piece) {
	p.row(pieces)
	p.b.WriteString("\x1b[J")
}

func (p *painter) row(pieces []piece) {
	if p.b.Len() == 0 {
		p.b.WriteString("\x1b[H")
	}
	room := p.width
	for _, x := range pieces {
		n := utf8.RuneCountInString(x.text)
		if x.right {
			p.b.WriteString(strings.Repeat(" ", max(room-n, 0)))
			room = min(room, n)
		}
		text := clip(x.text, room)
		room -= min(n, room)
		if p.color && x.style != "" && text != "" {
			text = "\x1b[" + x.style + "m" + text + "\x1b[0m"
		}
		p.b.WriteString(text)
	}
	p.b.WriteString("\x1b[K")
}

// clip returns the first n characters of s.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n, 0)])
}

// spark draws values as bars, the largest at full height.
func (p *painter) spark(values []int) string {
	marks := []rune(" .:-=+*#")
	if p.unicode {
		marks = []rune("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588")
	}
	top := 1
	for _, v := range values {
		top = max(top, v)
	}
	out := make([]rune, len(values))
	for i, v := range values {
		out[i] = marks[v*(len(marks)-1)/top]
	}
	return string(out)
}

// count writes n with thousands set off.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span writes a latency to two or three digits.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " us"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + " ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	default:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
}

func clockText(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return strconv.FormatFloat(float64(n)/(1<<30), 'f', 1, 64) + " GiB"
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
	default:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
}
