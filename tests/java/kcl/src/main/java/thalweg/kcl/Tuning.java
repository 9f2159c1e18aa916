package thalweg.kcl;

import java.time.Duration;
import software.amazon.kinesis.leases.LeaseManagementConfig;

/** Shorter times than the defaults of the Kinesis Client Library 3, which are made for days. */
final class Tuning {
    static final String VERSION = "3";

    private Tuning() {}

    static void tune(LeaseManagementConfig leases) {
        leases.failoverTimeMillis(3_000);
        leases.leaseAssignmentIntervalMillis(2_000L);
        // The leader assigns leases, and holds office by a lock; a killed one is replaced when it runs out.
        leases.dynamoDbLockBasedLeaderLeaseDurationInMillis(6_000);
        leases.dynamoDbLockBasedLeaderHeartbeatPeriodInMillis(1_500);
        leases.workerUtilizationAwareAssignmentConfig()
                .workerMetricsReporterFreqInMillis(Duration.ofSeconds(2).toMillis());
        leases.workerUtilizationAwareAssignmentConfig().varianceBalancingFrequency(1);
    }
}
