package thalweg.kcl;

import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.coordinator.WorkerStateChangeListener.WorkerState;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;
import thalweg.kpl.Clients;

/**
 * A worker of the Kinesis Client Library in a process of its own. Every endpoint is the server's. It prints one
 * line for what happens, before it checkpoints: NANOS up, NANOS start|end|lost SHARD, or NANOS record SHARD JSON.
 */
final class Worker {
    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private Worker() {}

    /** Arguments: the endpoint, the stream, the application's and the worker's name, polling or fanout. */
    public static void main(String[] args) {
        new Worker().run(URI.create(args[0]), args[1], args[2], args[3], args[4].equals("fanout"));
    }

    private void run(URI endpoint, String stream, String application, String worker, boolean fanOut) {
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder()
                .endpointOverride(endpoint).region(Clients.REGION).credentialsProvider(Clients.CREDENTIALS));
        DynamoDbAsyncClient dynamo = DynamoDbAsyncClient.builder()
                .endpointOverride(endpoint).region(Clients.REGION).credentialsProvider(Clients.CREDENTIALS).build();
        CloudWatchAsyncClient cloudWatch = CloudWatchAsyncClient.builder()
                .endpointOverride(endpoint).region(Clients.REGION).credentialsProvider(Clients.CREDENTIALS).build();
        ConfigsBuilder configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON)),
                application, kinesis, dynamo, cloudWatch, worker, Processor::new);
        var leases = configs.leaseManagementConfig().shardSyncIntervalMillis(2_000);
        Tuning.tune(leases);
        new Scheduler(configs.checkpointConfig(),
                configs.coordinatorConfig().parentShardPollIntervalMillis(500).shardConsumerDispatchPollIntervalMillis(200)
                        .workerStateChangeListener(this::changed),
                leases, configs.lifecycleConfig(), configs.metricsConfig(), configs.processorConfig(),
                configs.retrievalConfig().retrievalSpecificConfig(fanOut
                        ? new FanOutConfig(kinesis).streamName(stream).applicationName(application)
                        : new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(200)))
                .run();
    }

    private void changed(WorkerState state) {
        if (state == WorkerState.STARTED) {
            say(System.nanoTime() + " up");
        }
    }

    private synchronized void say(String what) {
        out.println(what);
        out.flush();
    }

    private final class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput in) {
            shard = in.shardId();
            say(System.nanoTime() + " start " + shard);
        }

        @Override
        public void processRecords(ProcessRecordsInput in) {
            StringBuilder lines = new StringBuilder();
            for (KinesisClientRecord r : in.records()) {
                lines.append(System.nanoTime()).append(" record ").append(shard).append(' ')
                        .append(StandardCharsets.UTF_8.decode(r.data())).append('\n');
            }
            if (!lines.isEmpty()) {
                say(lines.substring(0, lines.length() - 1));
                checkpoint(in.checkpointer());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput in) {
            say(System.nanoTime() + " lost " + shard);
        }

        @Override
        public void shardEnded(ShardEndedInput in) {
            say(System.nanoTime() + " end " + shard);
            checkpoint(in.checkpointer());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput in) {
            checkpoint(in.checkpointer());
        }

        private void checkpoint(RecordProcessorCheckpointer at) {
            try {
                at.checkpoint();
            } catch (ShutdownException e) {
                // The lease is another's now, who reads these records again.
            } catch (InvalidStateException e) {
                throw new IllegalStateException("the lease table is not as it was made", e);
            }
        }
    }
}
