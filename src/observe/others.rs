//! Others: metrics of other writers of the managed slices, and of the Events that are emitted.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::register::register;

/// The metrics of other writers and of Events.
#[derive(Debug)]
pub struct Others {
    /// 1 while another client acts as a controller of the slices that closehaul manages.
    pub active: IntGauge,
    /// Services whose slices are repeatedly overwritten.
    pub contested: IntGauge,
    /// Writes of other clients that created managed slices, or changed their endpoints or ports.
    pub writes: IntCounter,
    /// 1 in assist mode while there is no admission policy that keeps hints.
    pub admission_absent: IntGauge,
    overwritten: IntGaugeVec,
    events: IntCounterVec,
}

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emitted {
    /// The API server has it.
    Sent,
    /// There were too many, or this replica no longer leads.
    Dropped,
    /// The API server refused it or did not answer.
    Failed,
}

impl Emitted {
    const ALL: [Self; 3] = [Self::Sent, Self::Dropped, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

impl Others {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name, help| register(registry, IntGauge::new(name, help));
        let options = Opts::new(
            "closehaul_events_total",
            "Kubernetes Events about Services, by what became of them.",
        );
        let overwritten = Opts::new(
            "closehaul_overwritten_services",
            "Services whose hints another controller overwrites again and again, in assist mode, by \
             whether a zone is evacuated for them.",
        );
        let others = Self {
            active: gauge(
                "closehaul_other_writer_active",
                "1 while another client acts as a controller of the slices managed here, else 0.",
            )?,
            contested: gauge(
                "closehaul_contested_services",
                "Services whose slices another client overwrites again and again.",
            )?,
            writes: register(
                registry,
                IntCounter::new(
                    "closehaul_foreign_slice_writes_total",
                    "Writes of others that made slices managed here, or changed their endpoints \
                     or ports.",
                ),
            )?,
            admission_absent: gauge(
                "closehaul_admission_absent",
                "1 in assist mode while no admission policy keeps hints in slices, else 0.",
            )?,
            overwritten: register(registry, IntGaugeVec::new(overwritten, &["evacuated"]))?,
            events: register(registry, IntCounterVec::new(options, &["result"]))?,
        };
        others.overwritten(0, 0);
        for emitted in Emitted::ALL {
            others.events.with_label_values(&[emitted.as_str()]);
        }
        Ok(others)
    }

    /// Records on how many Services closehaul has given up, by whether they are evacuated.
    pub fn overwritten(&self, evacuated: i64, others: i64) {
        self.overwritten.with_label_values(&["true"]).set(evacuated);
        self.overwritten.with_label_values(&["false"]).set(others);
    }

    /// Counts an Event that was sent, or was not.
    pub fn emitted(&self, emitted: Emitted) {
        self.events.with_label_values(&[emitted.as_str()]).inc();
    }
}
