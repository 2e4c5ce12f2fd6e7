//! Settings that are read for a reload, and what they come to.

use std::os::fd::AsFd as _;

use generations::{Change, Input, Outcome, Read};

use super::Shell;
use crate::{
    drive::{Poller, Source, now},
    plan::Plan,
    reading::{Answer, Question},
};

impl Shell {
    pub(super) fn read_settings(&mut self, poller: &Poller) {
        let question = Question {
            run: &self.wiring.run,
            directory: self.wiring.directory.as_deref(),
            fixed: Some(&self.wiring.fixed),
        };
        match question.ask(now()) {
            Ok(reading) => {
                poller.add(Source::Settings, reading.answer.as_fd());
                self.reading = Some(reading);
            }
            Err(error) => self.answered(Err(format!("nobody can be made who reads them: {error}"))),
        }
    }

    /// Takes what there is of the answer.
    pub(crate) fn settings(&mut self, poller: &Poller) {
        if let Some(reading) = &mut self.reading
            && let Some(answer) = reading.take()
        {
            poller.remove(reading.answer.as_fd());
            self.reading = None;
            self.answered(answer);
        }
    }

    /// Waits no longer for settings that nobody can read.
    pub(super) fn give_up_reading(&mut self, poller: &Poller) {
        if let Some(reading) = self.reading.take_if(|it| it.until <= now()) {
            poller.remove(reading.answer.as_fd());
            let answer = reading.give_up();
            self.answered(answer);
        }
    }

    fn answered(&mut self, answer: Answer) {
        let input = answer.map(|found| {
            let before = self.serving_plan();
            let change = match before.is_some_and(|it| found.plan.is_mutable_change(it)) {
                true => Change::Mutable {
                    signal: found.mutable_signal,
                },
                false => Change::Generation,
            };
            self.read = Some(found.plan);
            let settings = found.core;
            Read { settings, change }
        });
        self.inputs.push_back(Input::Settings(input));
    }

    fn serving_plan(&self) -> Option<&Plan> {
        self.plans.get(&self.core.serving_generation()?)
    }

    /// Workers that were told of a change have what was read.
    pub(super) fn told(&mut self, outcome: &Outcome) {
        if let Outcome::Told { .. } = outcome
            && let Some(read) = self.read.take()
            && let Some(serving) = self.core.serving_generation()
        {
            self.plans.insert(serving, read);
        }
    }
}
