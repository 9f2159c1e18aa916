package iceberg

import (
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// page cuts a sorted list where the query says, and returns the token of the rest.
func page[T any](x *exchange, all []T, name func(T) string) ([]T, *string, error) {
	q := x.r.URL.Query()
	if token := q.Get("pageToken"); token != "" {
		all = all[sort.Search(len(all), func(i int) bool { return name(all[i]) > token }):]
	}
	v := q.Get("pageSize")
	if v == "" {
		return all, nil, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return nil, nil, refusal(http.StatusBadRequest, "BadRequestException", "pageSize is a number above 0")
	}
	if n >= len(all) {
		return all, nil, nil
	}
	return all[:n], new(name(all[n-1])), nil
}

func (x *exchange) listNamespaces() error {
	var below []string
	if parent := x.r.URL.Query().Get("parent"); parent != "" {
		below = strings.Split(parent, levels)
	}
	all, err := x.d.o.Catalog.Namespaces(x.scope(), below)
	if err != nil {
		return err
	}
	all, next, err := page(x, all, func(ns []string) string { return strings.Join(ns, levels) })
	if err != nil {
		return err
	}
	if all == nil {
		all = [][]string{}
	}
	return x.answer(http.StatusOK, map[string]any{"namespaces": all, "next-page-token": next})
}

type namespaceDoc struct {
	Namespace  []string          `json:"namespace"`
	Properties map[string]string `json:"properties"`
}

func (x *exchange) createNamespace() error {
	in := namespaceDoc{Properties: map[string]string{}}
	if err := x.decode(&in); err != nil {
		return err
	}
	if err := x.d.o.Catalog.CreateNamespace(x.r.Context(), x.scope(), in.Namespace, in.Properties); err != nil {
		return err
	}
	return x.answer(http.StatusOK, in)
}

func (x *exchange) loadNamespace() error {
	p, err := x.d.o.Catalog.Namespace(x.scope(), x.namespace())
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, namespaceDoc{x.namespace(), p})
}

func (x *exchange) namespaceExists() error {
	if _, err := x.d.o.Catalog.Namespace(x.scope(), x.namespace()); err != nil {
		return err
	}
	return x.answer(http.StatusNoContent, nil)
}

func (x *exchange) dropNamespace() error {
	if err := x.d.o.Catalog.DropNamespace(x.r.Context(), x.scope(), x.namespace()); err != nil {
		return err
	}
	return x.answer(http.StatusNoContent, nil)
}

func (x *exchange) updateProperties() error {
	var in struct {
		Removals []string          `json:"removals"`
		Updates  map[string]string `json:"updates"`
	}
	if err := x.decode(&in); err != nil {
		return err
	}
	for _, k := range in.Removals {
		if _, both := in.Updates[k]; both {
			return refusal(http.StatusUnprocessableEntity, "UnprocessableEntityException", "the property "+k+" is to be set and removed")
		}
	}
	missing, err := x.d.o.Catalog.UpdateNamespace(x.r.Context(), x.scope(), x.namespace(), in.Removals, in.Updates)
	if err != nil {
		return err
	}
	updated, removed := []string{}, []string{}
	for k := range in.Updates {
		updated = append(updated, k)
	}
	for _, k := range in.Removals {
		if !slices.Contains(missing, k) {
			removed = append(removed, k)
		}
	}
	slices.Sort(updated)
	return x.answer(http.StatusOK, map[string]any{"updated": updated, "removed": removed, "missing": missing})
}
