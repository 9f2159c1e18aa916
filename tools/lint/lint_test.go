package lint_test

import (
	"testing"

	"thalweg/tools/lint"
)

func TestRepository(t *testing.T) {
	files, err := lint.Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.Run(files) {
		t.Error(f)
	}
	t.Logf("%d files, %d rules", len(files), len(lint.Rules))
}
