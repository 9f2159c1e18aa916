package tables

import (
	"context"
	"errors"

	"thalweg/internal/errs"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// Op is what a write does.
type Op uint8

const (
	// Put puts Item in the place of any other of its key.
	Put Op = iota
	// Change applies Update to the item of Key, and makes one if there is none.
	Change
	// Remove deletes the item of Key, if there is one.
	Remove
	// Check changes nothing: it is for its condition.
	Check
)

// Write is one write of one item.
type Write struct {
	Table     string
	Op        Op
	Item      value.Item
	Key       value.Item
	Condition expr.Condition // nil is none
	Update    *expr.Update
}

// Outcome is the item before and after a write; nil is none.
type Outcome struct{ Old, New value.Item }

// ConditionFailed is the error of a write whose condition did not hold.
type ConditionFailed struct {
	// Item is what the condition was asked of; nil is none.
	Item value.Item
}

func (*ConditionFailed) Error() string { return "The conditional request failed" }

// Canceled is the error of a transaction of which nothing was done.
type Canceled struct {
	// Reasons are the errors of its writes, nil where there was none.
	Reasons []error
}

func (*Canceled) Error() string { return "Transaction cancelled" }

// Bounds of an item, names included, and of all items of a transaction (developer
// guide, "Quotas"). The latter keeps a commit within one batch of the log, too.
const (
	maxItem     = 400 << 10
	maxTransact = 4 << 20
)

// Write does one write. Errors: ConditionFailed, Invalid, NotFound, Throttled
// when items take too much memory, and those of the log.
func (s *Service) Write(ctx context.Context, scope Scope, w Write) (Outcome, error) {
	var out Outcome
	err := s.commit(ctx, &job{run: func(tx *txn) error {
		staged, err := s.stage(tx, scope, []Write{w})
		if err != nil {
			return single(err)
		}
		out = staged.outcomes[0]
		tx.apply(staged)
		return nil
	}})
	return out, err
}

var errTwice error = errs.New(errs.Invalid, "Transaction request cannot include multiple operations on one item")

// Batch does several writes, which name different items and have no conditions,
// all of them or none. Errors: as Write's.
func (s *Service) Batch(ctx context.Context, scope Scope, writes []Write) error {
	return s.commit(ctx, &job{run: func(tx *txn) error {
		staged, err := s.stage(tx, scope, writes)
		if errors.Is(err, errTwice) {
			return errs.New(errs.Invalid, "Provided list of item keys contains duplicates")
		}
		if err != nil {
			return single(err)
		}
		tx.apply(staged)
		return nil
	}})
}

// Transact does several writes of different items, all of them or none. A
// transaction of a token, unless "", that was done in the last ten minutes is not
// done again; sum tells whether it is the same. Errors: Canceled, Exists for the
// token of another transaction, and else as Write's.
func (s *Service) Transact(ctx context.Context, scope Scope, writes []Write, idempotency, sum string) error {
	key := token{scope, idempotency}
	return s.commit(ctx, &job{run: func(tx *txn) error {
		if idempotency != "" {
			before, ok := tx.done[key]
			if !ok {
				before, ok = tx.state.tokens[key]
			}
			if ok && before.At+tokenMillis > tx.now {
				if before.Sum != sum {
					return errs.New(errs.Exists, "Request was already made with this ClientRequestToken and other parameters")
				}
				return nil
			}
		}
		staged, err := s.stage(tx, scope, writes)
		if err != nil {
			return err
		}
		if staged.size() > maxTransact {
			return errs.New(errs.Invalid, "Collectively the transaction's items exceed the maximum aggregate size of 4 MB")
		}
		if idempotency == "" {
			tx.apply(staged)
			return nil
		}
		if err := s.fits(tx, staged.growth+tokenCost); err != nil {
			return err
		}
		tx.apply(staged)
		tx.cost += tokenCost
		tx.done[key] = done{sum, tx.now}
		tx.events = append(tx.events, encodeJSON(eventToken, tokenEvent{key, tx.done[key]}))
		return nil
	}})
}

// staged are the writes of one job, decided.
type staged struct {
	changes  []change
	outcomes []Outcome
	growth   int64
}

// size is that of the items that are put.
func (st *staged) size() int {
	n := 0
	for _, c := range st.changes {
		if c.row != nil {
			n += c.row.size
		}
	}
	return n
}

// stage decides on writes, and changes nothing.
func (s *Service) stage(tx *txn, scope Scope, writes []Write) (staged, error) {
	var out staged
	reasons := make([]error, len(writes))
	failed := false
	seen := map[spot]bool{}
	for i, w := range writes {
		t, err := tx.state.table(scope, w.Table)
		if err != nil {
			return out, err
		}
		c, o, err := tx.decide(t, &w)
		if err == nil && seen[spot{t.def.Number, c.place}] {
			return out, errTwice
		}
		seen[spot{t.def.Number, c.place}] = true
		out.outcomes = append(out.outcomes, o)
		if reasons[i] = err; err != nil {
			failed = true
			continue
		}
		if w.Op != Check && (c.row != nil || o.Old != nil) {
			out.growth += t.def.cost(c.place, c.row) - t.def.cost(c.place, tx.row(t, c.place))
			out.changes = append(out.changes, c)
		}
	}
	switch {
	case failed:
		return out, &Canceled{Reasons: reasons}
	case len(out.changes) == 0:
		return out, nil
	}
	return out, s.fits(tx, out.growth)
}

// decide says what a write makes of its item.
func (tx *txn) decide(t *table, w *Write) (change, Outcome, error) {
	c := change{table: t}
	var o Outcome
	key := w.Key
	if w.Op == Put {
		if err := t.def.checkItem(w.Item); err != nil {
			return c, o, err
		}
		key = t.def.Key.of(w.Item)
	} else if err := t.def.checkKey(key); err != nil {
		return c, o, err
	}
	c.place, _ = t.def.Key.place(key)
	o.Old = tx.row(t, c.place).item()
	if w.Condition != nil && !w.Condition.Holds(o.Old) {
		return c, o, &ConditionFailed{Item: o.Old}
	}
	switch w.Op {
	case Remove, Check:
		return c, o, nil
	case Put:
		o.New = w.Item
	case Change:
		var err error
		if o.New, err = t.changed(w, key, o.Old); err != nil {
			return c, o, err
		}
	}
	if o.New.Size() > maxItem {
		text := "Item size has exceeded the maximum allowed size"
		if w.Op == Change {
			text = "Item size to update has exceeded the maximum allowed size"
		}
		return c, o, errs.New(errs.Invalid, text)
	}
	c.row = newRow(o.New)
	return c, o, nil
}

// changed applies an update.
func (t *table) changed(w *Write, key, old value.Item) (value.Item, error) {
	from := old
	if from == nil {
		from = key
	}
	if w.Update == nil {
		return from, nil
	}
	for _, path := range w.Update.Paths() {
		if _, isKey := key[path[0].Name]; isKey {
			return nil, errs.New(errs.Invalid, "One or more parameter values were invalid: Cannot update attribute "+
				path[0].Name+". This attribute is part of the key")
		}
	}
	it, err := w.Update.Apply(from)
	if err != nil {
		return nil, err
	}
	return it, t.def.checkItem(it)
}

// apply makes decided writes part of the commit: one event, so that no reader
// sees a part of them.
func (tx *txn) apply(st staged) {
	if len(st.changes) == 0 {
		return
	}
	tx.cost += st.growth
	for _, c := range st.changes {
		tx.pending[spot{c.table.def.Number, c.place}] = c.row
	}
	tx.events = append(tx.events, encodeItems(st.changes))
}

// single returns the error of a job's only write, or its first.
func single(err error) error {
	var c *Canceled
	if errors.As(err, &c) {
		for _, reason := range c.Reasons {
			if reason != nil {
				return reason
			}
		}
	}
	return err
}
