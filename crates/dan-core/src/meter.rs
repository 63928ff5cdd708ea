//! [`Meter`]: the fixed set of counters. No label takes a peer's value.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($field:ident $name:literal $help:literal;)*) => {
        /// Counters since start.
        #[derive(Debug, Default)]
        pub struct Meter {
            $(#[doc = $help] pub $field: Counter,)*
        }

        impl Meter {
            /// Name, help text and count of every counter.
            #[must_use]
            pub fn read(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$(($name, $help, self.$field.read()),)*]
            }
        }
    };
}

counters! {
    grants "dan_grants_total" "Grants given";
    grants_refused "dan_grants_refused_total" "Applications refused";
    harvests "dan_harvests_total" "Answers with evidence handed out";
    harvests_refused "dan_harvests_refused_total" "Harvests refused before a source was asked";
    harvests_failed "dan_harvests_failed_total" "Harvests that a source or the store made fail";
    outcomes_lost "dan_outcomes_lost_total" "Harvests whose outcome could not be recorded";
    heads "dan_trail_heads_total" "Signed heads put over the audit trail";
    heads_failed "dan_trail_heads_failed_total" "Times no head could be put over the audit trail; it is tried again";
    stamps "dan_trail_stamps_total" "Heads that a time-stamping authority stamped";
    stamps_failed "dan_trail_stamps_failed_total" "Times a time-stamping authority gave no stamp that holds";
    requests "dan_http_requests_total" "HTTP requests answered";
    requests_refused "dan_http_refused_total" "HTTP requests refused before a handler saw them";
    callers_refused "dan_callers_refused_total" "HTTP requests whose caller did not prove who it is, or may not come in";
    callers_throttled "dan_callers_throttled_total" "HTTP requests over a limit of their caller";
    faults_internal "dan_http_internal_errors_total" "HTTP requests answered with 5xx of our own";
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
