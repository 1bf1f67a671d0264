//! Whether an update or a vector of a stranger may be given to a decoder.

use super::depth::Nest;
use super::walk::{Content, DEPTH_OF_CHECKED, Id, Item, Kind, Parent, Struct, Visitor, walk};
use super::{Fault, MAX_CLOCK, MAX_NUMBER, Reader, put_var_uint};

/// How much an update may ask for.
#[derive(Clone, Copy, Debug)]
pub struct UpdateLimits {
    /// Its bytes: `update`.
    pub bytes: usize,
    /// Clients that have written or deleted in it: `document_clients`.
    pub clients: usize,
    /// Values in values, inside of one piece of content: `depth`.
    pub depth: usize,
    /// Types in types, as far as the update itself says: `nesting`. To delete the outermost one is
    /// a recursion in Yjs.
    pub nesting: usize,
    /// Items between the same two neighbours: `same_place`. Each is compared with all before it,
    /// so 80,000 of them keep a thread busy for minutes.
    pub same_place: usize,
}

impl Default for UpdateLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, clients: 10_000, depth: 64, nesting: 256, same_place: 1000 }
    }
}

/// What an update has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Clients with structs.
    pub clients: usize,
    /// Structs, without those that only skip.
    pub structs: usize,
    /// Ranges of deletions.
    pub deletes: usize,
    /// Documents in the document. yrs never frees a document that has one: see [`erasure`].
    pub subdocuments: usize,
    /// Items that want to stand in one place, where there are most of them.
    pub crowd: usize,
    /// Its length.
    pub bytes: usize,
}

impl Shape {
    /// Whether the update changes nothing, wherever it is applied.
    pub fn is_empty(&self) -> bool {
        self.structs == 0 && self.deletes == 0
    }
}

/// Checks an update of version 1 from its first byte to its last.
///
/// Takes time and memory in proportion to its length, whatever it declares. It says nothing of how
/// the update fits a document: what it refers to may be missing there.
///
/// # Errors
/// Everything that [`Fault`] lists; [`Fault::Limit`] with the name that [`UpdateLimits`] gives.
pub fn check_update(update: &[u8], limits: &UpdateLimits) -> Result<Shape, Fault> {
    if update.len() > limits.bytes {
        return Err(Fault::Limit("update"));
    }
    let mut check = Check {
        limits,
        shape: Shape { bytes: update.len(), ..Shape::default() },
        client: None,
        deleter: None,
        deleters: 0,
        places: Vec::new(),
        nest: Nest::default(),
    };
    walk(update, limits.depth, &mut check)?;
    check.shape.crowd = largest(&mut check.places);
    if check.shape.crowd > limits.same_place {
        return Err(Fault::Limit("same_place"));
    }
    if check.nest.exceeds(limits.nesting) {
        return Err(Fault::Limit("nesting"));
    }
    Ok(check.shape)
}

/// How many items of an update want to stand in one place, where it is most.
///
/// # Errors
/// As [`check_update`], without its limits.
pub fn crowd(update: &[u8]) -> Result<usize, Fault> {
    let (bytes, clients, nesting, same_place) = (usize::MAX, usize::MAX, usize::MAX, usize::MAX);
    let depth = DEPTH_OF_CHECKED;
    let limits = UpdateLimits { bytes, clients, depth, nesting, same_place };
    check_update(update, &limits).map(|shape| shape.crowd)
}

struct Check<'a, 'l> {
    limits: &'l UpdateLimits,
    shape: Shape,
    client: Option<u64>,
    deleter: Option<u64>,
    deleters: usize,
    places: Vec<Place<'a>>,
    nest: Nest,
}

/// Where an item wants to stand.
type Place<'a> = (Option<Id>, Option<Id>, Option<Parent<'a>>);

impl<'a> Visitor<'a> for Check<'a, '_> {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        if self.client.replace(structure.id.client) != Some(structure.id.client) {
            self.shape.clients += 1;
            if self.shape.clients > self.limits.clients {
                return Err(Fault::Limit("document_clients"));
            }
        }
        if matches!(structure.kind, Kind::Skip) {
            return Ok(());
        }
        self.shape.structs += 1;
        if let Kind::Item(item) = structure.kind {
            self.places.push((item.origin, item.right_origin, item.parent));
            self.shape.subdocuments += usize::from(item.content == Content::Document);
            self.nest(structure.id, structure.len, &item);
        }
        Ok(())
    }

    fn deletion(&mut self, from: Id, _: u32) -> Result<(), Fault> {
        self.shape.deletes += 1;
        if self.deleter.replace(from.client) != Some(from.client) {
            self.deleters += 1;
            if self.deleters > self.limits.clients {
                return Err(Fault::Limit("document_clients"));
            }
        }
        Ok(())
    }
}

impl Check<'_, '_> {
    fn nest(&mut self, id: Id, len: u32, item: &Item<'_>) {
        self.nest.add(id, len, item, item.content == Content::Type);
    }
}

/// How many want to stand in one place, where it is most.
fn largest(places: &mut [Place<'_>]) -> usize {
    places.sort_unstable();
    places.chunk_by(PartialEq::eq).map(<[_]>::len).max().unwrap_or(0)
}

/// Says of each client in an update from where to where it goes: `(client, clock, length)`, holes
/// between structs included.
///
/// # Errors
/// As [`check_update`], without its limits.
pub fn for_each_client(update: &[u8], each: impl FnMut(u64, u32, u32)) -> Result<(), Fault> {
    let mut extents = Extents { each, now: None };
    walk(update, DEPTH_OF_CHECKED, &mut extents)?;
    extents.say();
    Ok(())
}

struct Extents<F> {
    each: F,
    now: Option<(Id, u32)>,
}

impl<F: FnMut(u64, u32, u32)> Extents<F> {
    fn say(&mut self) {
        if let Some((from, len)) = self.now.take() {
            (self.each)(from.client, from.clock, len);
        }
    }
}

impl<'a, F: FnMut(u64, u32, u32)> Visitor<'a> for Extents<F> {
    fn structure(&mut self, structure: Struct<'a>) -> Result<(), Fault> {
        match &mut self.now {
            Some((from, len)) if from.client == structure.id.client => *len += structure.len,
            _ => {
                self.say();
                self.now = Some((structure.id, structure.len));
            }
        }
        Ok(())
    }

    fn deletion(&mut self, _: Id, _: u32) -> Result<(), Fault> {
        Ok(())
    }
}

/// Checks a state vector: how many clients it names.
///
/// # Errors
/// [`Fault::Limit`] (`document_clients`) for more than `max_clients`, and whatever is wrong with
/// the bytes.
pub fn check_vector(bytes: &[u8], max_clients: usize) -> Result<usize, Fault> {
    let mut reader = Reader::new(bytes);
    let clients = reader.count(2)?;
    if clients > max_clients {
        return Err(Fault::Limit("document_clients"));
    }
    for _ in 0..clients {
        reader.at_most(MAX_NUMBER)?;
        reader.at_most(MAX_CLOCK)?;
    }
    reader.end()?;
    Ok(clients)
}

/// The update that deletes everything up to a state vector.
///
/// For a document of yrs that is thrown away: an item with a subdocument holds on to the document
/// that it is in, which so is never freed, unless the item is deleted first.
///
/// # Errors
/// The vector is none, or it names a client twice.
pub fn erasure(vector: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut reader = Reader::new(vector);
    let count = reader.count(2)?;
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let client = reader.at_most(MAX_NUMBER)?;
        let clock = reader.at_most(MAX_CLOCK)?;
        clients.extend((clock > 0).then_some((client, clock)));
    }
    reader.end()?;
    clients.sort_unstable();
    if clients.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Fault::Order);
    }
    let mut update = vec![0];
    put_var_uint(&mut update, clients.len() as u64);
    for (client, clock) in clients {
        // One range, from the first place on.
        put_var_uint(&mut update, client);
        update.extend([1, 0]);
        put_var_uint(&mut update, clock);
    }
    Ok(update)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yjs::{put_bytes, put_string};

    /// "A" in the text "t", of client 1.
    const A: &[u8] = &[1, 1, 1, 0, 4, 1, 1, b't', 1, b'A', 0];

    fn check(update: &[u8]) -> Result<Shape, Fault> {
        check_update(update, &UpdateLimits::default())
    }

    /// Structs of client 1 from clock 0 on, and no deletions.
    fn of_one(structs: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![1];
        put_var_uint(&mut out, structs.len() as u64);
        out.extend([1, 0]);
        out.extend(structs.concat());
        out.push(0);
        out
    }

    /// A struct in the root "t".
    fn in_root(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind, 1, 1, b't'][..], content].concat()
    }

    #[test]
    fn an_inserted_letter_passes() {
        let shape = check(A).unwrap();
        let expected =
            Shape { clients: 1, structs: 1, crowd: 1, bytes: A.len(), ..Shape::default() };
        assert_eq!(shape, expected);
        assert!(check(super::super::EMPTY_UPDATE).unwrap().is_empty());
        assert!(!check(&[0, 1, 1, 1, 0, 1]).unwrap().is_empty(), "it deletes");
    }

    #[test]
    fn an_update_that_was_cut_anywhere_is_refused() {
        for end in 0..A.len() {
            assert!(check(&A[..end]).is_err(), "{end}");
        }
        assert_eq!(check(&[A, &[0]].concat()), Err(Fault::Trailing));
    }

    #[test]
    fn counts_are_compared_with_what_follows_before_anybody_believes_them() {
        for update in [
            &[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0, 0][..],
            &[1, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0],
            &[0, 0xff, 0xff, 0xff, 0x7f],
        ] {
            assert_eq!(check(update), Err(Fault::Count), "{update:x?}");
        }
        let array = of_one(&[in_root(8, &[1, 117, 0xff, 0xff, 0x7f])]);
        assert_eq!(check(&array), Err(Fault::Count));
    }

    #[test]
    fn clocks_end_where_decoders_count_no_further() {
        let gap = |from: u64, len: u64| {
            let mut out = vec![1, 1, 1];
            put_var_uint(&mut out, from);
            out.push(0);
            put_var_uint(&mut out, len);
            out.push(0);
            out
        };
        assert!(check(&gap(0, MAX_CLOCK)).is_ok());
        assert_eq!(check(&gap(1, MAX_CLOCK)), Err(Fault::Number));
        assert_eq!(check(&gap(MAX_CLOCK + 1, 1)), Err(Fault::Number));
        assert_eq!(check(&gap(0, 0)), Err(Fault::Empty));
    }

    #[test]
    fn a_client_comes_once_and_its_deletions_in_order() {
        let twice = [&[2][..], &A[1..A.len() - 1], &A[1..]].concat();
        assert_eq!(check(&twice), Err(Fault::Order));
        assert_eq!(check(&[0, 2, 1, 1, 0, 1, 1, 1, 1, 1]), Err(Fault::Order));
        assert_eq!(check(&[0, 1, 1, 2, 5, 1, 0, 1]), Err(Fault::Order));
        assert!(check(&[0, 1, 1, 2, 0, 1, 5, 1]).is_ok());
    }

    #[test]
    fn what_only_one_of_two_decoders_reads_is_refused() {
        for kind in [2, 11, 12, 31] {
            assert_eq!(check(&of_one(&[in_root(kind, &[1, 1, b'1'])])), Err(Fault::Unknown));
        }
        // A hook, a weak link, nothing.
        for kind in [5, 7, 15] {
            assert_eq!(check(&of_one(&[in_root(7, &[kind])])), Err(Fault::Unknown));
        }
        assert_eq!(check(&of_one(&[in_root(4, &[0])])), Err(Fault::Empty), "no text");
        assert_eq!(check(&of_one(&[in_root(4, &[1, 0xff])])), Err(Fault::Text));
    }

    #[test]
    fn formats_and_embeds_are_json() {
        let embed = |text: &str| {
            let mut content = Vec::new();
            put_string(&mut content, text);
            check(&of_one(&[in_root(5, &content)]))
        };
        assert!(embed(r#"{"image":"a.png"}"#).is_ok());
        assert_eq!(embed("{"), Err(Fault::Json));
        assert_eq!(embed("undefined"), Err(Fault::Json));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(embed(&deep), Err(Fault::Limit("depth")));
    }

    #[test]
    fn values_in_values_are_counted_without_a_stack() {
        let nested = |depth: usize| {
            let mut content = vec![1];
            content.extend([117, 1].repeat(depth));
            content.push(126);
            check(&of_one(&[in_root(8, &content)]))
        };
        assert!(nested(64).is_ok());
        assert_eq!(nested(65), Err(Fault::Limit("depth")));
        assert_eq!(nested(400_000), Err(Fault::Limit("depth")));
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let mut content = vec![12, 127, 126, 121, 120, 125, 0x6a];
        content.extend([124, 0, 0, 0, 0]);
        content.extend([123, 0, 0, 0, 0, 0, 0, 0, 0]);
        content.extend([122, 0, 0, 0, 0, 0, 0, 0, 0]);
        content.extend([119, 1, b'a', 116, 1, 0xff]);
        content.extend([118, 1, 1, b'k', 126]);
        content.extend([117, 2, 126, 126]);
        let update = of_one(&[in_root(8, &content), in_root(4, &[1, b'z'])]);
        let mut clocks = Vec::new();
        for_each_client(&update, |client, clock, len| clocks.push((client, clock, len))).unwrap();
        assert_eq!(clocks, [(1, 0, 13)]);
        assert_eq!(check(&of_one(&[in_root(8, &[1, 9])])), Err(Fault::Unknown));
    }

    #[test]
    fn thousands_at_one_and_the_same_place_are_refused() {
        let same = |count: usize| check(&of_one(&vec![in_root(4, &[1, b'a']); count]));
        assert!(same(1000).is_ok());
        assert_eq!(same(1001), Err(Fault::Limit("same_place")));
        assert_eq!(crowd(&of_one(&vec![in_root(4, &[1, b'a']); 1001])), Ok(1001));
        // Keys of a map do not stand beside each other.
        let keys = (0..5000).map(|key: u32| {
            let mut out = vec![0x28, 1, 1, b'm'];
            put_bytes(&mut out, key.to_string().as_bytes());
            out.extend([1, 126]);
            out
        });
        assert!(check(&of_one(&keys.collect::<Vec<_>>())).is_ok());
    }

    #[test]
    fn types_in_types_in_types_are_refused_in_any_order() {
        let nested = |depth: u64| {
            let mut structs = vec![in_root(7, &[0])];
            for clock in 0..depth {
                let mut inner = vec![7, 0, 1];
                put_var_uint(&mut inner, clock);
                structs.push([inner, vec![0]].concat());
            }
            check(&of_one(&structs))
        };
        assert!(nested(256).is_ok());
        assert_eq!(nested(257), Err(Fault::Limit("nesting")));
        // A thousand beside each other are a long document, and no deep one.
        let mut flat = vec![in_root(7, &[0])];
        for clock in 0..5000 {
            let mut next = vec![0x87, 1];
            put_var_uint(&mut next, clock);
            flat.push([next, vec![0]].concat());
        }
        assert!(check(&of_one(&flat)).is_ok());
    }

    #[test]
    fn everything_can_be_deleted() {
        assert_eq!(erasure(&[2, 9, 5, 1, 2]), Ok(vec![0, 2, 1, 1, 0, 2, 9, 1, 0, 5]));
        assert_eq!(erasure(&[1, 9, 0]), Ok(vec![0, 0]));
        assert_eq!(erasure(&[2, 9, 5, 9, 2]), Err(Fault::Order));
        let inner = check(&of_one(&[in_root(9, &[1, b'g', 118, 0])])).unwrap();
        assert_eq!((inner.subdocuments, check(A).unwrap().subdocuments), (1, 0));
    }

    #[test]
    fn a_vector_names_clients_and_no_more() {
        assert_eq!(check_vector(&[0], 10), Ok(0));
        assert_eq!(check_vector(&[1, 1, 1], 10), Ok(1));
        assert_eq!(check_vector(&[2, 1, 1, 2, 1], 1), Err(Fault::Limit("document_clients")));
        assert_eq!(check_vector(&[], 10), Err(Fault::Short));
        assert_eq!(check_vector(&[200, 1, 1, 1], 10), Err(Fault::Count));
        assert_eq!(check_vector(&[1, 1, 1, 0], 10), Err(Fault::Trailing));
    }
}
