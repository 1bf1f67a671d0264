//! What the server says.

use super::commands::Asked;
use super::{Driver, ms};
use crate::error::Closed;
use crate::frame::Welcome;
use crate::machine::{Event, Phase, State};
use crate::{Error, Frame};

impl Driver {
    pub(super) fn heard(&mut self) {
        let State { phase, probed, heard, .. } = self.state;
        if phase == Phase::Connected && (probed.is_some() || heard != self.now()) {
            self.tell(Event::Heard);
        }
    }

    pub(super) fn handle_text(&mut self, text: String) {
        let frame = match Frame::new(text) {
            Ok(frame) => frame,
            Err(error) => {
                self.fault = Some(error);
                let reason = Some("not a frame".to_owned());
                return self.tell(Event::Closed { code: 1007, reason, retry_after: None });
            }
        };
        self.heard();
        if let Some(Closed { code, reason, reconnect, retry_after }) = frame.closed() {
            let bye = Closed { code, reason: reason.clone(), reconnect, retry_after };
            self.fault = Some(Error::Closed(bye));
            let retry_after = retry_after.map(ms);
            return self.tell(Event::Bye { code, reason: Some(reason), reconnect, retry_after });
        }
        if let Some(id) = frame.id() {
            return self.handle_answer(id, frame);
        }
        let channel = frame.decode().channel.map(|channel| channel.to_string());
        match channel.and_then(|channel| self.channels.get_mut(&*channel)) {
            Some(channel) => channel.handle_push(frame, &mut self.commands),
            None if frame.kind() == "expiring" => {
                let _ = self.notices.send(frame);
                self.tell(Event::Expiring);
            }
            None => _ = self.notices.send(frame),
        }
    }

    fn handle_answer(&mut self, id: u64, frame: Frame) {
        let (Some(asked), now) = (self.commands.answered(id), self.now()) else { return };
        let commands = &mut self.commands;
        let refusal = frame.refusal();
        let answer = |refusal| match refusal {
            Some(refusal) => Err(Error::Refused(Box::new(refusal))),
            None => Ok(frame.clone()),
        };
        match asked {
            Asked::Once(reply) | Asked::Read(reply) => _ = reply.send(answer(refusal)),
            Asked::Publish(ticket) => {
                let answer = refusal.map_or_else(|| Ok(frame.ack()), Err);
                self.outbox.handle_answer(ticket, answer, now);
            }
            Asked::Subscribe(channel) => {
                let Some(channel) = self.channels.get_mut(&channel) else { return };
                match refusal {
                    Some(refusal) => channel.handle_refused(refusal, now, commands),
                    None => channel.handle_joined(frame, commands),
                }
            }
            Asked::Unsubscribe(channel) => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.handle_left(commands);
                }
                self.tidy();
            }
            Asked::Enter(channel, entering) => {
                let channel = self.channels.get_mut(&channel);
                match (refusal, channel) {
                    (Some(refusal), Some(channel)) => {
                        channel.presence.handle_refused(refusal, entering, now, commands);
                    }
                    (refusal, _) => {
                        for reply in entering.waiting {
                            let _ = reply.send(answer(refusal.clone()));
                        }
                    }
                }
                self.tidy();
            }
            Asked::Leave(_, reply) => {
                // Who is not there has left.
                let refusal = refusal.filter(|refusal| refusal.code != "not_subscribed");
                if let Some(reply) = reply {
                    let _ = reply.send(answer(refusal));
                }
                self.tidy();
            }
            Asked::Refresh if refusal.is_none() => {
                let expires_in = frame.decode().expires_in;
                self.tell(Event::Refreshed { expires_in });
            }
            Asked::Hello if refusal.is_none() => self.handle_welcome(&frame),
            // The server ends a session whose token ends, and a `bye` says why.
            Asked::Hello | Asked::Refresh => {}
        }
    }

    fn handle_welcome(&mut self, frame: &Frame) {
        let welcome = Welcome::of(frame);
        self.session = Some(welcome.session.clone()).filter(|session| !session.is_empty());
        self.commands.limit = welcome.limits.in_flight.max(1);
        self.outbox.welcome(&welcome, self.now());
        let resumed = welcome.resumed;
        let (heartbeat, expires_in) = (ms(welcome.heartbeat), welcome.expires_in.map(ms));
        self.welcome = Some(welcome);
        self.fault = None;
        self.tell(Event::Welcome { heartbeat, expires_in });
        for channel in self.channels.values_mut() {
            channel.presence.handle_welcome(resumed, &mut self.commands);
        }
    }
}
