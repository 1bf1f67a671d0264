//! Commits, and what rides with them.

use std::collections::HashMap;

use tidings_core::store::{Append, Epoch, Level, StoreError};

use crate::fs::Fs;
use crate::index::Loc;
use crate::log::LogStore;
use crate::wire::Row;

/// What stands in a batch in front of an append, see [`LogStore::commit_with`].
pub type Riders<'a> = dyn FnMut(usize, bool) -> Vec<Append> + 'a;

/// The outcome of each append, and that of all riders.
pub type Outcomes = (Vec<Result<Level, StoreError>>, Result<Level, StoreError>);

impl<F: Fs> LogStore<F> {
    /// Like [`Store::commit`](tidings_core::store::Store::commit), with appends of the driver's own
    /// in the same batch: they are stored if and only if what was accepted of `batch` is. `riders`
    /// is called once for each append with its place, and once more behind the last one, and says
    /// what goes in front of it; its second argument is whether the append before was accepted.
    ///
    /// Riders are not checked: each must continue its channel, which nobody else may append to.
    pub fn commit_with(
        &mut self,
        now_ms: u64,
        batch: &[Append],
        riders: &mut Riders<'_>,
    ) -> Outcomes {
        let mut seen = HashMap::<&str, (Epoch, u64)>::with_capacity(batch.len());
        let mut out = vec![Err(StoreError::OutOfOrder); batch.len()];
        // The place in the batch, or the rider.
        let mut rows: Vec<Result<usize, Append>> = Vec::with_capacity(batch.len());
        let mut accepted = false;
        self.builder.clear();
        for place in 0..=batch.len() {
            for rider in riders(place, accepted) {
                self.builder.push_row(&Row::of(&rider), false);
                rows.push(Err(rider));
            }
            let Some(append) = batch.get(place) else { break };
            accepted = self.accepts(&seen, append);
            if accepted {
                seen.insert(&append.channel, (append.epoch, append.offset));
                self.builder.push_row(&Row::of(append), false);
                rows.push(Ok(place));
            }
        }
        let reached = self.options.reached();
        if rows.is_empty() {
            return (out, Ok(reached));
        }
        match self.write(now_ms, false) {
            Ok((segment, base)) => {
                for (row, (at, len)) in rows.iter().zip(self.builder.places()) {
                    let at = Loc { segment, pos: base + at, len };
                    let append = row.as_ref().map_or_else(|rider| rider, |place| &batch[*place]);
                    let slot = self.index.apply(&Row::of(append), at, false);
                    self.index.trim(slot, now_ms);
                    if let Ok(place) = row {
                        out[*place] = Ok(reached);
                    }
                }
                (out, Ok(reached))
            }
            Err(error) => {
                for place in rows.into_iter().flatten() {
                    out[place] = Err(error.clone());
                }
                (out, Err(error))
            }
        }
    }

    /// Where the channel of an append stands, with what was accepted before in this batch.
    fn accepts(&self, seen: &HashMap<&str, (Epoch, u64)>, a: &Append) -> bool {
        let stored = || self.index.channel(&a.channel).map(|c| (c.epoch, c.last));
        let step = u64::from(a.event.is_some());
        match seen.get(&*a.channel).copied().or_else(stored) {
            Some((epoch, last)) => a.epoch == epoch && a.offset == last + step,
            None => a.offset == step,
        }
    }
}
