package iceberg

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// operations are those behind the prefix.
var operations = []*op{
	{"ListNamespaces", http.MethodGet, "namespaces", "glue:GetDatabases", (*exchange).listNamespaces},
	{"CreateNamespace", http.MethodPost, "namespaces", "glue:CreateDatabase", (*exchange).createNamespace},
	{"LoadNamespace", http.MethodGet, "namespaces/*", "glue:GetDatabase", (*exchange).loadNamespace},
	{"NamespaceExists", http.MethodHead, "namespaces/*", "glue:GetDatabase", (*exchange).namespaceExists},
	{"DropNamespace", http.MethodDelete, "namespaces/*", "glue:DeleteDatabase", (*exchange).dropNamespace},
	{"UpdateProperties", http.MethodPost, "namespaces/*/properties", "glue:UpdateDatabase", (*exchange).updateProperties},
	{"ListTables", http.MethodGet, "namespaces/*/tables", "glue:GetTables", (*exchange).listTables},
	{"CreateTable", http.MethodPost, "namespaces/*/tables", "glue:CreateTable", (*exchange).createTable},
	{"RegisterTable", http.MethodPost, "namespaces/*/register", "glue:CreateTable", (*exchange).registerTable},
	{"LoadTable", http.MethodGet, "namespaces/*/tables/*", "glue:GetTable", (*exchange).loadTable},
	{"TableExists", http.MethodHead, "namespaces/*/tables/*", "glue:GetTable", (*exchange).tableExists},
	{"CommitTable", http.MethodPost, "namespaces/*/tables/*", "glue:UpdateTable", (*exchange).commitTable},
	{"DropTable", http.MethodDelete, "namespaces/*/tables/*", "glue:DeleteTable", (*exchange).dropTable},
	{"RenameTable", http.MethodPost, "tables/rename", "glue:UpdateTable", (*exchange).renameTable},
}

var config = op{"GetConfig", http.MethodGet, "config", "glue:GetCatalog", (*exchange).getConfig}

// prefixMark begins the prefix of every path, with the warehouse behind it in base64.
const prefixMark = "w-"

// getConfig answers what a client is to add to its configuration. The warehouse is
// s3://BUCKET/PATH, or nothing: then tables must name their place, or their namespace
// its own.
func (x *exchange) getConfig() error {
	warehouse := strings.TrimSuffix(x.r.URL.Query().Get("warehouse"), "/")
	if warehouse != "" && !strings.HasPrefix(warehouse, "s3://") {
		return refusal(http.StatusBadRequest, "BadRequestException", "a warehouse is s3://BUCKET/PATH")
	}
	endpoints := make([]string, 0, len(operations))
	for _, o := range operations {
		path := o.path
		for _, name := range []string{"{namespace}", "{table}"} {
			path = strings.Replace(path, "*", name, 1)
		}
		endpoints = append(endpoints, o.method+" /v1/{prefix}/"+path)
	}
	scheme := "http://"
	if x.r.TLS != nil {
		scheme = "https://"
	}
	return x.answer(http.StatusOK, map[string]any{
		"defaults": map[string]string{"s3.endpoint": scheme + x.r.Host, "s3.path-style-access": "true", "s3.region": x.caller.Region,
			"client.region": x.caller.Region},
		"overrides": map[string]string{"prefix": prefixMark + base64.RawURLEncoding.EncodeToString([]byte(warehouse)),
			"rest-metrics-reporting-enabled": "false"},
		"endpoints": endpoints,
	})
}
