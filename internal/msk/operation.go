package msk

import (
	"strings"

	"thalweg/internal/catalog"
)

// arnOf is the ARN of something of a cluster.
func arnOf(r *catalog.Resource, kind string) string {
	return strings.Replace(r.ARN, ":cluster/", ":"+kind+"/", 1)
}

// operationARN is the ARN of an operation of a cluster.
func operationARN(r *catalog.Resource, id string) string {
	return arnOf(r, "cluster-operation") + "/" + id
}
