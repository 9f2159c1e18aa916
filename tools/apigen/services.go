package main

// service is one entry of the table of services: where its model is, and the
// facts that the model does not tell.
type service struct {
	// Package is the Go package and the service's name in metrics.
	Package string
	// Model is the directory in botocore's data, and the file in api/models.
	Model string
	// Door is the package under internal that implements the operations.
	Door string
	// SigningName is the service in the scope of a signature, Action the prefix of
	// its IAM actions.
	SigningName, Action string
	// Hosts are the first labels of its host names.
	Hosts []string
	// MaxBodyMiB bounds a request's body.
	MaxBodyMiB int
	// Refusal is the error of an operation that is not implemented.
	Refusal string
	// Throttled is the error of a server without memory to spare.
	Throttled string
	// Invalid is the error of an input that breaks the model's constraints.
	Invalid string
	// Status overrides the HTTP status of errors.
	Status map[string]int
	// Resources are the members that name an input's resource, best first.
	Resources []resource
	// ErrorPrefix stands before an error's name in a JSON document.
	ErrorPrefix string
	// Only are the operations to keep of a model that is served in part; nil is
	// all of them.
	Only []string
}

// resource is a member that holds an ARN, or a name with what makes it one.
type resource struct{ Member, Prefix, Suffix string }

// services is every service, in the order of the compatibility page.
//
// Sources: signing names, targets and errors from the models; bodies from the
// services' quotas (kinesis: 10 MiB of data and keys, base64; firehose: 4 MiB;
// kinesisanalytics: 50 MiB of inline code); the error of a broken constraint and
// of overload from the services' API references.
var services = []service{
	{
		Package: "kinesis", Model: "kinesis", Door: "kinesis", SigningName: "kinesis", Action: "kinesis",
		Hosts: []string{"kinesis", "data-kinesis", "control-kinesis"}, MaxBodyMiB: 16,
		Refusal: "InvalidArgumentException", Throttled: "ProvisionedThroughputExceededException", Invalid: "ValidationException",
		Resources: []resource{
			{Member: "ConsumerARN"}, {Member: "StreamARN"}, {Member: "ResourceARN"}, {Member: "ChannelARN"}, {Member: "QueueARN"},
			{Member: "StreamName", Prefix: "stream/"},
		},
	},
	{
		Package: "firehose", Model: "firehose", Door: "firehose", SigningName: "firehose", Action: "firehose",
		Hosts: []string{"firehose"}, MaxBodyMiB: 8,
		Refusal: "InvalidArgumentException", Throttled: "ServiceUnavailableException", Invalid: "ValidationException",
		Status:    map[string]int{"ServiceUnavailableException": 503},
		Resources: []resource{{Member: "DeliveryStreamName", Prefix: "deliverystream/"}},
	},
	{
		Package: "kinesisvideo", Model: "kinesisvideo", Door: "kinesisvideo", SigningName: "kinesisvideo", Action: "kinesisvideo",
		Hosts: []string{"kinesisvideo"}, MaxBodyMiB: 2,
		Refusal: "InvalidArgumentException", Throttled: "ClientLimitExceededException", Invalid: "ValidationException",
		Resources: videoResources,
	},
	{
		Package: "kinesisvideomedia", Model: "kinesis-video-media", Door: "kinesisvideo", SigningName: "kinesisvideo", Action: "kinesisvideo",
		Hosts: []string{"kinesisvideo"}, MaxBodyMiB: 2,
		Refusal: "InvalidArgumentException", Throttled: "ClientLimitExceededException", Invalid: "ValidationException",
		Resources: videoResources,
	},
	{
		Package: "kinesisvideoarchivedmedia", Model: "kinesis-video-archived-media", Door: "kinesisvideo", SigningName: "kinesisvideo", Action: "kinesisvideo",
		Hosts: []string{"kinesisvideo"}, MaxBodyMiB: 2,
		Refusal: "InvalidArgumentException", Throttled: "ClientLimitExceededException", Invalid: "ValidationException",
		Resources: videoResources,
	},
	{
		Package: "kinesisvideosignaling", Model: "kinesis-video-signaling", Door: "kinesisvideo", SigningName: "kinesisvideo", Action: "kinesisvideo",
		Hosts: []string{"kinesisvideo"}, MaxBodyMiB: 2,
		Refusal: "InvalidArgumentException", Throttled: "ClientLimitExceededException", Invalid: "ValidationException",
		Resources: videoResources,
	},
	{
		Package: "kinesisvideowebrtcstorage", Model: "kinesis-video-webrtc-storage", Door: "kinesisvideo", SigningName: "kinesisvideo", Action: "kinesisvideo",
		Hosts: []string{"kinesisvideo"}, MaxBodyMiB: 2,
		Refusal: "InvalidArgumentException", Throttled: "ClientLimitExceededException", Invalid: "ValidationException",
		Resources: videoResources,
	},
	{
		Package: "kinesisanalyticsv2", Model: "kinesisanalyticsv2", Door: "flink", SigningName: "kinesisanalytics", Action: "kinesisanalytics",
		Hosts: []string{"kinesisanalytics"}, MaxBodyMiB: 72,
		Refusal: "UnsupportedOperationException", Throttled: "ServiceUnavailableException", Invalid: "ValidationException",
		Resources: []resource{{Member: "ResourceARN"}, {Member: "ApplicationName", Prefix: "application/"}},
	},
	{
		Package: "kafka", Model: "kafka", Door: "msk", SigningName: "kafka", Action: "kafka",
		Hosts: []string{"kafka"}, MaxBodyMiB: 4,
		Refusal: "BadRequestException", Throttled: "TooManyRequestsException", Invalid: "BadRequestException",
		Resources: []resource{
			{Member: "ChannelArn"}, {Member: "ClusterArn"}, {Member: "ReplicatorArn"}, {Member: "ClusterOperationArn"},
			{Member: "TargetClusterArn"}, {Member: "VpcConnectionArn"}, {Member: "ResourceArn"}, {Member: "Arn"},
		},
	},
	{
		Package: "kafkaconnect", Model: "kafkaconnect", Door: "msk", SigningName: "kafkaconnect", Action: "kafkaconnect",
		Hosts: []string{"kafkaconnect"}, MaxBodyMiB: 4,
		Refusal: "BadRequestException", Throttled: "TooManyRequestsException", Invalid: "BadRequestException",
		Resources: []resource{
			{Member: "ConnectorArn"}, {Member: "ConnectorOperationArn"}, {Member: "CustomPluginArn"},
			{Member: "WorkerConfigurationArn"}, {Member: "ResourceArn"},
		},
	},
	{
		Package: "dynamodb", Model: "dynamodb", Door: "lease", SigningName: "dynamodb", Action: "dynamodb",
		Hosts: []string{"dynamodb"}, MaxBodyMiB: 16,
		Throttled: "ProvisionedThroughputExceededException", Invalid: "ValidationException",
		Status:      map[string]int{"InternalServerError": 500},
		Resources:   []resource{{Member: "ResourceArn"}, {Member: "TableName", Prefix: "table/"}},
		ErrorPrefix: "com.amazonaws.dynamodb.v20120810#",
		Only: []string{
			"BatchGetItem", "BatchWriteItem", "CreateTable", "DeleteItem", "DeleteTable", "DescribeContinuousBackups", "DescribeTable",
			"DescribeTimeToLive", "GetItem", "ListTables", "ListTagsOfResource", "PutItem", "Query", "Scan", "TagResource",
			"TransactGetItems", "TransactWriteItems", "UntagResource", "UpdateContinuousBackups", "UpdateItem", "UpdateTable",
		},
	},
	{
		Package: "glue", Model: "glue", Door: "glue", SigningName: "glue", Action: "glue",
		Hosts: []string{"glue"}, MaxBodyMiB: 2,
		Refusal: "InvalidInputException", Throttled: "OperationTimeoutException", Invalid: "InvalidInputException",
		Only: []string{
			"CreateDatabase", "CreateTable", "DeleteDatabase", "DeleteTable", "GetDatabase", "GetDatabases", "GetTable", "GetTableVersion",
			"GetTableVersions", "GetTables", "UpdateDatabase", "UpdateTable",
		},
	},
	{
		Package: "cloudwatch", Model: "cloudwatch", Door: "lease", SigningName: "monitoring", Action: "cloudwatch",
		Hosts: []string{"monitoring"}, MaxBodyMiB: 2,
		Throttled: "ThrottlingException", Invalid: "InvalidParameterValueException",
		Only: []string{"PutMetricData"},
	},
	{
		Package: "sts", Model: "sts", Door: "lease", SigningName: "sts", Action: "sts",
		Hosts: []string{"sts"}, MaxBodyMiB: 1,
		Throttled: "ThrottlingException", Invalid: "ValidationError",
		Only: []string{"GetCallerIdentity"},
	},
}

// videoResources: a video stream's ARN ends in its time of creation, which a
// request by name does not know.
var videoResources = []resource{
	{Member: "StreamARN"}, {Member: "ChannelARN"}, {Member: "ResourceARN"}, {Member: "ChannelArn"},
	{Member: "StreamName", Prefix: "stream/", Suffix: "/*"}, {Member: "ChannelName", Prefix: "channel/", Suffix: "/*"},
}

// goPatterns gives the patterns of the models that Go's regular expressions
// cannot say, for want of look-around: the same without it, and what a negative
// look-ahead excludes.
var goPatterns = map[string]struct{ Expr, Not string }{
	`^(?!\s*$).+`: {`.+`, `\s*`},
	`^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$`: {`[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*`, `(?s:aws:.*)`},
	`^(?=^\$)(?=^\S+$).*$`:                    {`\$\S*`, ``},
	`[\u0001-\uFFFF]*`:                        {`[\x{1}-\x{FFFF}]*`, ``},
	`[^\u0000-\u001F\u007F]*`:                 {`[^\x00-\x1F\x7F]*`, ``},
	`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`: {
		`[\t\n\r -~\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+`, ``},
	`[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*`:     {`[\t -\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]*`, ``},
	`[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*`: {`[\t\r\n -\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]*`, ``},
	`jdbc:(redshift|postgresql)://((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(redshift(-serverless)?)\.([a-zA-Z0-9\.\-]+):\d{1,5}/[a-zA-Z0-9_$-]+`: {
		`jdbc:(redshift|postgresql)://([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(redshift(-serverless)?)\.([a-zA-Z0-9\.\-]+):\d{1,5}/[a-zA-Z0-9_$-]+`, ``},
}
