//! How buffers grow which a peer fills.

/// Makes room for at least one more byte and for `more` bytes if it can, by doubling, but never
/// beyond `ceiling`: what the peer may have at all.
///
/// Doubling keeps the total work linear. Nothing is ever sized by a length that was only
/// announced, so memory stays within twice of what has really arrived.
pub(crate) fn reserve(buffer: &mut Vec<u8>, more: usize, ceiling: usize) {
    let needed = buffer.len().saturating_add(more);
    if needed <= buffer.capacity() {
        return;
    }
    let target = buffer.capacity().saturating_mul(2).max(needed).min(ceiling.max(needed));
    buffer.reserve_exact(target - buffer.len());
}
