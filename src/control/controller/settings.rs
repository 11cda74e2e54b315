//! Settings: how the controller works, as the command line says.

use std::time::Duration;

use crate::plan;

/// How the controller works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How slices are written. Hints for nodes are given up when an answer shows that the API
    /// server drops them.
    pub plan: plan::Settings,
    /// `--endpointslice-updates-batch-period`.
    pub batch_period: Duration,
    /// `--replan-qps`; 0 means no limit.
    pub replan_qps: f64,
    /// `--concurrent-service-endpoint-syncs`: how many Services are written at the same time.
    pub concurrency: usize,
    /// `--policies`: whether policies and evacuations count.
    pub policies: bool,
    /// `--mode`: who writes the slices.
    pub mode: Mode,
    /// `--leader-elect-renew-deadline`: after this long without an answer, everything is listed.
    pub renew_deadline: Duration,
}

/// Who writes the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// closehaul alone.
    Replace,
    /// Another controller. Hints are patched into its slices.
    Assist {
        /// `--assist-kube-system`: whether into those of kube-system's Services, too.
        kube_system: bool,
    },
    /// Another controller. This replica only reports, and never writes.
    Advise,
}

impl Mode {
    /// Whether hints are patched into the slices of another controller.
    pub fn is_assist(self) -> bool {
        matches!(self, Self::Assist { .. })
    }
}
