//! `metrics`: switched on and off, and listened to until somebody ends it.

use std::time::Duration;

use proto::dbus::public;
use zbus::Message;

use super::follow::{self, Follow};
use crate::{
    bus::{self, Bus},
    cli::{MetricsDo, Options},
    fault::{self, Daemon, Fault},
    live::{Heard, Live},
    measured::Measured,
    view::{self, Look, Page, detail, metrics as rows, stream::Stream},
};

/// Switches metrics, or listens.
pub(crate) async fn run(options: &Options, what: MetricsDo, look: &Look) -> Result<Page, Fault> {
    let method = match what {
        MetricsDo::Enable => "EnableMetrics",
        MetricsDo::Disable => "DisableMetrics",
        MetricsDo::Listen => return listen(options, look).await,
    };
    let mut bus = Bus::connect(options.user, options.question_timeout()).await?;
    let [answer] = bus
        .ask([bus::fleet_call(public::CONTROLLER, method, &())?])
        .await?;
    match answer {
        Ok(_) => Ok(view::act::of_daemon(what.verb(), look)),
        Err(refusal) => Err(Fault::refused(refusal, bus.name())),
    }
}

async fn listen(options: &Options, look: &Look) -> Result<Page, Fault> {
    let rule = format!(
        "type='signal',sender='{}',path='{}',interface='{}'",
        public::BUS_NAME,
        public::METRICS_PATH,
        public::METRICS
    );
    let limit = options.question_timeout();
    let mut live = Live::to(Daemon::Controller, options.user, limit, vec![rule]);
    live.connect().await?;
    let mut follow = Follow::new(Daemon::Controller, options, look);
    let mut stream = Stream::new(rows::HEADER, &[8, 20, 16], detail::zone(), look);
    loop {
        match live.next().await {
            Heard::Up(away) => {
                if let Some(away) = away {
                    follow.back(away);
                }
                let enabled = are_enabled(&mut live).await;
                if follow.begun(&mut live, enabled)? == Some(false) {
                    let hint = "'ctl metrics enable' has them measured from now on";
                    follow.warn("metrics are not enabled".into(), Some(hint.into()));
                }
            }
            Heard::Away(fault) => follow.away(&fault),
            Heard::Message(message) => {
                if let Some(measured) = read(&message)
                    && !follow.print(&rows::row(&mut stream, follow::now(), &measured))
                {
                    return Ok(follow::seen_enough());
                }
            }
        }
    }
}

/// Whether they are: the object is there only then.
async fn are_enabled(live: &mut Live) -> Result<bool, Fault> {
    let introspectable = "org.freedesktop.DBus.Introspectable";
    let call = bus::object_call(public::METRICS_PATH, introspectable, "Introspect", &())?;
    let [answer] = live.bus()?.ask([call]).await?;
    match answer {
        Ok(answer) => Ok(bus::read::<String>(&answer, "Introspect")?.contains(public::METRICS)),
        Err(refusal) if fault::is_not_there(&refusal) => Ok(false),
        Err(refusal) => Err(Fault::refused(refusal, live.bus_name())),
    }
}

fn read(signal: &Message) -> Option<Measured> {
    let header = signal.header();
    if header.interface()? != public::METRICS {
        return None;
    }
    let body = signal.body();
    match header.member()?.as_str() {
        "StartUnitJobMetrics" => {
            let (node, job, unit, took, start): (String, String, String, u64, u64) =
                body.deserialize().ok()?;
            Some(Measured::Start {
                node,
                unit,
                id: super::job_id(&job).map(|id| id.0),
                job: Duration::from_micros(took),
                unit_start: Duration::from_micros(start),
            })
        }
        "AgentJobMetrics" => {
            let (node, unit, method, took): (String, String, String, u64) =
                body.deserialize().ok()?;
            Some(Measured::Systemd {
                node,
                unit,
                method,
                took: Duration::from_micros(took),
            })
        }
        _ => None,
    }
}
