package lint

import (
	"go/ast"
	"go/token"
)

// globalsAllowed are package variables that change, with the reason, by
// directory and name.
var globalsAllowed = map[string]string{}

const globalsReason = "package state would be shared by two servers in one process; make it a field, " +
	"or a table that is complete where it is declared"

// checkGlobals wants package variables to be what they were declared as: tables,
// errors, compiled expressions, pools.
func checkGlobals(files []*File, report func(*File, int, string)) {
	packages := map[string][]*File{}
	for _, f := range handWritten(files) {
		if !f.Test() {
			packages[f.Dir()] = append(packages[f.Dir()], f)
		}
	}
	for dir, members := range packages {
		vars := map[string]bool{}
		for _, f := range members {
			eachGlobal(f.Go, func(name *ast.Ident, spec *ast.ValueSpec, value ast.Expr, embed bool) {
				if globalsAllowed[dir+"."+name.Name] != "" || embed {
					return
				}
				vars[name.Name] = true
				if mutable(spec.Type, value) {
					report(f, f.line(name.Pos()), name.Name+": "+globalsReason)
				}
			})
		}
		for _, f := range members {
			checkAssignments(f, vars, report)
		}
	}
}

func eachGlobal(f *ast.File, fn func(name *ast.Ident, spec *ast.ValueSpec, value ast.Expr, embed bool)) {
	for _, d := range f.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, s := range gen.Specs {
			spec := s.(*ast.ValueSpec)
			embed := hasEmbed(gen.Doc) || hasEmbed(spec.Doc)
			for i, name := range spec.Names {
				if name.Name == "_" {
					continue
				}
				var value ast.Expr
				if i < len(spec.Values) {
					value = spec.Values[i]
				} else if len(spec.Values) == 1 {
					value = spec.Values[0] // one call with several results
				}
				fn(name, spec, value, embed)
			}
		}
	}
}

func hasEmbed(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if len(c.Text) > 10 && c.Text[:10] == "//go:embed" {
			return true
		}
	}
	return false
}

// mutable reports whether a variable of this type and initial value is there to
// be changed.
func mutable(typ, value ast.Expr) bool {
	if isSyncPool(typ) {
		return false
	}
	if value == nil {
		array, ok := typ.(*ast.ArrayType)
		return !ok || array.Len == nil // an array of zeros is a table
	}
	switch v := value.(type) {
	case *ast.UnaryExpr:
		return v.Op == token.AND && !isPoolLiteral(v.X)
	case *ast.CallExpr:
		id, ok := v.Fun.(*ast.Ident)
		return ok && (id.Name == "make" || id.Name == "new")
	case *ast.CompositeLit:
		sel, ok := v.Type.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		x, ok := sel.X.(*ast.Ident)
		return ok && (x.Name == "atomic" || x.Name == "sync" && sel.Sel.Name != "Pool")
	}
	return false
}

func isSyncPool(typ ast.Expr) bool {
	sel, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "sync" && sel.Sel.Name == "Pool"
}

func isPoolLiteral(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	return ok && isSyncPool(lit.Type)
}

// checkAssignments reports what changes one of the package's variables.
func checkAssignments(f *File, vars map[string]bool, report func(*File, int, string)) {
	flag := func(e ast.Expr) {
		id := root(e)
		if id == nil || !vars[id.Name] {
			return
		}
		if id.Obj != nil {
			spec, ok := id.Obj.Decl.(*ast.ValueSpec)
			if !ok || !isTopLevel(f.Go, spec) {
				return // a local of the same name
			}
		}
		report(f, f.line(e.Pos()), "changes "+id.Name+": "+globalsReason)
	}
	ast.Inspect(f.Go, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				return true
			}
			for _, e := range n.Lhs {
				flag(e)
			}
		case *ast.IncDecStmt:
			flag(n.X)
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
				flag(n.Args[0])
			}
		}
		return true
	})
}

// root returns the variable that e is a part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func isTopLevel(f *ast.File, spec *ast.ValueSpec) bool {
	for _, d := range f.Decls {
		if gen, ok := d.(*ast.GenDecl); ok {
			for _, s := range gen.Specs {
				if s == ast.Spec(spec) {
					return true
				}
			}
		}
	}
	return false
}
