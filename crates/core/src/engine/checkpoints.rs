//! Folds, and how those of durable channels are read and written; see `channel/checkpoint.rs`.

use bytes::Bytes;
use tidings_proto::Position;

use super::Engine;
use super::home::Scene;
use super::types::Effect;
use crate::channel::{Checkpoints, companion};
use crate::store::{Level, Loaded, StoreError};

impl Engine {
    /// Asks for all that is kept of a channel: its checkpoint first, if it has any.
    pub(super) fn load_home(&mut self, index: usize) {
        let channel = &self.homes.slab[index].channel;
        if channel.checkpoints.is_some() {
            let channel = companion(&channel.name);
            self.out.effects.push(Effect::Load { channel });
        }
        self.out.effects.push(Effect::Load { channel: channel.name.clone() });
    }

    /// Checkpoints of a channel, which comes right behind them.
    pub(super) fn checkpoint_loaded(
        &mut self,
        of: &str,
        outcome: Result<Option<Loaded>, StoreError>,
    ) {
        let Some(index) = self.homes.find(of) else { return };
        let home = &mut self.homes.slab[index];
        let Some(checkpoints) = home.channel.checkpoints.as_mut() else { return };
        match outcome {
            Ok(loaded) if home.waiting.is_none() => checkpoints.follow(loaded.as_ref()),
            Ok(loaded) => {
                home.channel.fold.clear();
                for page in checkpoints.restore(loaded) {
                    home.channel.fold.take_page(&page);
                }
            }
            Err(_) => checkpoints.broken = true,
        }
    }

    /// The outcome of one of its pages.
    pub(super) fn checkpoint_stored(&mut self, of: &str, outcome: &Result<Level, StoreError>) {
        let Some(index) = self.homes.find(of) else { return };
        let channel = &mut self.homes.slab[index].channel;
        let Some(checkpoints) = channel.checkpoints.as_mut() else { return };
        if checkpoints.stored(outcome) {
            let channel = companion(&channel.name);
            self.out.effects.push(Effect::Load { channel });
        }
    }
}

impl Scene<'_> {
    /// An event is history now: it becomes part of what the channel is. One that has to be read
    /// again is not kept as it is.
    pub(super) fn fold_in(&mut self, offset: u64, at_ms: u64, event: &Bytes) {
        let channel = &mut *self.channel;
        channel.fold.commit(offset, at_ms, event);
        let Some(checkpoints) = &mut channel.checkpoints else { return };
        checkpoints.noted(event.len());
        if checkpoints.is_due(channel.fold.log_behind()) {
            self.checkpoint();
        }
    }

    /// Writes the next one if the log has grown long and there is time: who opens the channel the
    /// next time has less to read. `true`: it is on its way to the store.
    pub(super) fn checkpoint_early(&mut self) -> bool {
        let Self { channel, .. } = self;
        let bytes = channel.fold.log_behind();
        let is_worth_it = |kept: &Checkpoints| kept.is_worth_it(bytes);
        channel.checkpoints.as_deref().is_some_and(is_worth_it)
            && !channel.failing
            && self.checkpoint()
    }

    fn checkpoint(&mut self) -> bool {
        let channel = &mut *self.channel;
        let Some(checkpoints) = &mut channel.checkpoints else { return false };
        if channel.estranged || !channel.fold.is_settled(channel.pending.is_empty()) {
            return false;
        }
        // Without pages the log would be cut behind nothing.
        let Some(pages) = channel.fold.pages(self.limits.page_bytes) else {
            channel.estranged = true;
            return false;
        };
        let upto = Position { epoch: channel.epoch, offset: channel.last };
        for append in checkpoints.write(&channel.name, upto, &pages, self.steady_ms) {
            self.out.effects.push(Effect::Append(append));
        }
        true
    }
}
