package thalweg.kcl;

import software.amazon.kinesis.leases.LeaseManagementConfig;

/** Shorter times than the defaults of the Kinesis Client Library 2. */
final class Tuning {
    static final String VERSION = "2";

    private Tuning() {}

    static void tune(LeaseManagementConfig leases) {
        leases.failoverTimeMillis(3_000);
    }
}
