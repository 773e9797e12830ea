//! [`Table`]: rows that are filtered, sorted, marked and walked through; of any number, for only those on the screen are drawn.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    hash::Hash,
};

use callboard_contracts::Timestamp;

use crate::filter::{Fields, Filter, FilterError, Fit};

/// What a cell means; a theme says how that looks. Each meaning has a colour of its own, and the cell's text says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Done, or all is well.
    Done,
    /// It runs.
    Running,
    /// It will be tried again, or needs a look.
    Retry,
    /// It failed for good.
    Dead,
    /// It was called off, or is of no matter.
    Cancelled,
    /// Somebody has stopped it for a while.
    Paused,
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// What that means.
    pub tone: Tone,
}

impl Cell {
    /// A cell with a meaning.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Cell { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::new(text, Tone::Plain)
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// How wide it is at least.
    pub width: u16,
    /// What of the width that is left it takes, in parts.
    pub grows: u16,
    /// Whether it is written at the right edge.
    pub right: bool,
    /// How wide the screen must be for it to be shown.
    pub from: u16,
}

impl Column {
    /// A column of this width.
    pub const fn new(name: &'static str, width: u16) -> Self {
        Column { name, width, grows: 0, right: false, from: 0 }
    }

    /// It is written at the right edge.
    pub const fn right(self) -> Self {
        Column { right: true, ..self }
    }

    /// It takes what is left.
    pub const fn grows(self, parts: u16) -> Self {
        Column { grows: parts, ..self }
    }

    /// It is shown on screens of this width and wider ones.
    pub const fn from(self, width: u16) -> Self {
        Column { from: width, ..self }
    }
}

/// By what rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey<'r> {
    /// A number, or a time.
    Number(i64),
    /// A text.
    Text(Cow<'r, str>),
}

/// What a table shows.
pub trait Row: Fields {
    /// By what a row is known again.
    type Key: Clone + Eq + Hash;
    /// The columns.
    const COLUMNS: &'static [Column];
    /// The fields that a filter may ask for.
    const FIELDS: &'static [&'static str];

    /// By what it is known again.
    fn key(&self) -> Self::Key;

    /// What stands in a column.
    fn cell(&self, column: usize, now: Timestamp) -> Cell;

    /// By what it is sorted when that column is chosen.
    fn sort_key(&self, column: usize) -> SortKey<'_>;

    /// Its place among rows that come newest first: the greater, the earlier. None where they come as they come.
    fn rank(&self) -> Option<(i64, u128)> {
        None
    }
}

/// Rows that are looked at by one call of [`Table::work`].
pub const SLICE: usize = 8192;

/// How rows are looked through again.
#[derive(Debug)]
struct Sifting {
    /// How many of the sorted rows were looked at.
    looked_at: usize,
    fitting: Vec<u32>,
    unknown: usize,
}

/// Rows, and how somebody looks at them.
#[derive(Debug)]
pub struct Table<R: Row> {
    /// In no order; numbers in the other fields are places here.
    rows: Vec<R>,
    places: HashMap<R::Key, u32>,
    /// As they came.
    natural: Vec<u32>,
    /// As they are sorted; the same as `natural` if they are not.
    sorted: Vec<u32>,
    /// Those of `sorted` that fit the filter.
    shown: Vec<u32>,
    sifting: Option<Sifting>,
    /// Whether `sorted` is to be made anew before rows are looked through.
    unsorted: bool,
    /// Rows of which the filter asks what is not loaded.
    unknown: usize,
    filter: Filter,
    sort: Option<(usize, bool)>,
    marks: HashSet<R::Key>,
    selected: usize,
    offset: usize,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Table {
            rows: Vec::new(),
            places: HashMap::new(),
            natural: Vec::new(),
            sorted: Vec::new(),
            shown: Vec::new(),
            sifting: None,
            unsorted: false,
            unknown: 0,
            filter: Filter::default(),
            sort: None,
            marks: HashSet::new(),
            selected: 0,
            offset: 0,
        }
    }
}

impl<R: Row> Table<R> {
    /// How many rows are loaded.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is loaded.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows fit the filter.
    pub fn shown(&self) -> usize {
        self.shown.len()
    }

    /// Rows that cannot be judged before they are loaded as a whole.
    pub fn unknown(&self) -> usize {
        self.unknown
    }

    /// The row of this key.
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        self.places.get(key).map(|place| &self.rows[*place as usize])
    }

    /// All rows, as they came.
    pub fn rows(&self) -> impl Iterator<Item = &R> {
        self.natural.iter().map(|place| &self.rows[*place as usize])
    }

    /// The rows that fit, from this position on.
    pub fn shown_from(&self, position: usize) -> impl Iterator<Item = &R> {
        self.shown.iter().skip(position).map(|place| &self.rows[*place as usize])
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The column that the rows are sorted by, and whether the other way round.
    pub fn sort(&self) -> Option<(usize, bool)> {
        self.sort
    }

    /// The position of the selected row among those that are shown.
    pub fn selected(&self) -> usize {
        self.selected
    }

    /// The position of the first row on the screen.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The selected row.
    pub fn current(&self) -> Option<&R> {
        self.shown.get(self.selected).map(|place| &self.rows[*place as usize])
    }

    /// Whether a row is marked.
    pub fn is_marked(&self, key: &R::Key) -> bool {
        self.marks.contains(key)
    }

    /// How many rows are marked.
    pub fn marked(&self) -> usize {
        self.marks.len()
    }

    /// The marked rows, in the order in which they are shown; first those that are.
    pub fn marked_rows(&self) -> impl Iterator<Item = &R> {
        self.sorted.iter().map(|place| &self.rows[*place as usize]).filter(|row| self.is_marked(&row.key()))
    }

    /// Forgets all rows; how they are looked at stays.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.places.clear();
        self.natural.clear();
        self.sorted.clear();
        self.shown.clear();
        self.marks.clear();
        self.sifting = None;
        self.unsorted = false;
        self.unknown = 0;
        self.selected = 0;
        self.offset = 0;
    }

    /// These rows are all there are. The selection stays on its row.
    pub fn replace(&mut self, rows: Vec<R>, now: Timestamp) {
        let at = self.current().map(Row::key);
        let position = self.selected;
        let marks = std::mem::take(&mut self.marks);
        let offset = self.offset;
        self.clear();
        self.insert(rows, false, usize::MAX);
        self.marks = marks.into_iter().filter(|key| self.places.contains_key(key)).collect();
        self.selected = position;
        self.offset = offset;
        self.unsorted = true;
        self.sift_whole(now);
        self.select_key(at);
    }

    /// Rows that follow the loaded ones; what is loaded already is brought up to date.
    pub fn append(&mut self, rows: Vec<R>, most: usize, now: Timestamp) {
        let at = self.current().map(Row::key);
        let whole = self.sift_is_whole();
        let from = self.insert(rows, false, most);
        self.judge_new(from, false, whole, now);
        self.select_key(at);
    }

    /// Rows that are newer than the loaded ones. Of more than `most` the oldest go.
    pub fn prepend(&mut self, rows: Vec<R>, most: usize, now: Timestamp) {
        let at = self.current().map(Row::key);
        let whole = self.sift_is_whole() && self.belongs_in_front(&rows);
        let from = self.insert(rows, true, most);
        if !whole && from > 0 {
            let rows = &self.rows;
            // By the cached key, for a key is made of several fields.
            self.natural.sort_by_cached_key(|place| std::cmp::Reverse(rows[*place as usize].rank()));
        }
        self.judge_new(from, true, whole, now);
        self.select_key(at);
    }

    fn sift_is_whole(&self) -> bool {
        self.sifting.is_none()
    }

    /// The row that came as the last one.
    pub fn oldest(&self) -> Option<&R> {
        self.natural.last().map(|place| &self.rows[*place as usize])
    }

    /// Whether rows that are put in front belong there, newest first.
    fn belongs_in_front(&self, rows: &[R]) -> bool {
        let first = self.natural.first().and_then(|place| self.rows[*place as usize].rank());
        let new = rows.iter().filter(|row| !self.places.contains_key(&row.key())).filter_map(Row::rank);
        first.is_none_or(|first| new.min().is_none_or(|oldest| oldest >= first))
    }

    /// Puts rows in their places; says how many are new.
    fn insert(&mut self, rows: Vec<R>, in_front: bool, most: usize) -> usize {
        let mut new = Vec::new();
        for row in rows {
            let key = row.key();
            if let Some(place) = self.places.get(&key) {
                self.rows[*place as usize] = row;
                continue;
            }
            let place = if self.rows.len() < most {
                let Ok(place) = u32::try_from(self.rows.len()) else { break };
                self.rows.push(row);
                place
            } else if in_front {
                let Some(oldest) = self.natural.pop() else { break };
                let old = std::mem::replace(&mut self.rows[oldest as usize], row).key();
                self.places.remove(&old);
                self.marks.remove(&old);
                self.shown.retain(|place| *place != oldest);
                self.sorted.retain(|place| *place != oldest);
                self.sifting = self.sifting.take().map(|_| Sifting::new());
                oldest
            } else {
                break;
            };
            self.places.insert(key, place);
            new.push(place);
        }
        let count = new.len();
        if in_front {
            self.natural.splice(0..0, new);
        } else {
            self.natural.extend(new);
        }
        count
    }

    /// Sorts and judges what was just put in.
    fn judge_new(&mut self, count: usize, in_front: bool, whole: bool, now: Timestamp) {
        if count == 0 {
            return;
        }
        if self.sort.is_some() || !whole {
            self.unsorted = true;
            self.sift_again();
            return;
        }
        let new: Vec<u32> = if in_front {
            self.natural[..count].to_vec()
        } else {
            self.natural[self.natural.len() - count..].to_vec()
        };
        let mut fitting = Vec::new();
        for place in &new {
            match self.filter.node.fits(&self.rows[*place as usize], now) {
                Fit::Yes => fitting.push(*place),
                Fit::Unknown => self.unknown += 1,
                Fit::No => {}
            }
        }
        if in_front {
            self.sorted.splice(0..0, new);
            self.shown.splice(0..0, fitting);
        } else {
            self.sorted.extend(new);
            self.shown.extend(fitting);
        }
    }

    /// Changes a loaded row. What it is then is judged by the filter with the next [`work`](Self::work).
    pub fn change(&mut self, key: &R::Key, change: impl FnOnce(&mut R)) -> bool {
        let Some(place) = self.places.get(key) else { return false };
        change(&mut self.rows[*place as usize]);
        true
    }

    /// Judges all rows again with the next [`work`](Self::work), after some of them were changed.
    pub fn judge_again(&mut self) {
        if !self.filter.is_empty() || self.sort.is_some() {
            self.unsorted |= self.sort.is_some();
            self.sift_again();
        }
    }

    /// Takes another filter.
    ///
    /// # Errors
    /// As [`Filter::new`]; the filter stays as it was then.
    pub fn set_filter(&mut self, text: &str) -> Result<(), FilterError> {
        let filter = Filter::new(text, R::FIELDS)?;
        if filter.text != self.filter.text {
            self.filter = filter;
            self.sift_again();
        }
        Ok(())
    }

    /// Sorts by another column, or not at all.
    pub fn set_sort(&mut self, sort: Option<(usize, bool)>) {
        if self.sort != sort {
            self.sort = sort;
            self.unsorted = true;
            self.sift_again();
        }
    }

    /// Sorts by the next column, or the one before; before the first one and after the last one the rows are as they came.
    pub fn sort_by_next(&mut self, forward: bool) {
        let count = R::COLUMNS.len();
        let place = self.sort.map_or(0, |(column, _)| column + 1);
        let next = (place + if forward { 1 } else { count }) % (count + 1);
        self.set_sort(next.checked_sub(1).map(|column| (column, false)));
    }

    /// Sorts by this column; a second time the other way round, a third time not at all.
    pub fn sort_by(&mut self, column: usize) {
        self.set_sort(match self.sort {
            Some((now, false)) if now == column => Some((column, true)),
            Some((now, true)) if now == column => None,
            _ => Some((column, false)),
        });
    }

    /// Sorts the other way round.
    pub fn sort_reversed(&mut self) {
        if let Some((column, reversed)) = self.sort {
            self.set_sort(Some((column, !reversed)));
        }
    }

    fn sort_again(&mut self) {
        self.sorted.clone_from(&self.natural);
        let Some((column, reversed)) = self.sort else { return };
        // Texts of many rows are few: each gets a number by its place in the alphabet, so that numbers are compared.
        let mut texts: HashSet<Cow<'_, str>> = HashSet::new();
        for row in &self.rows {
            if let SortKey::Text(text) = row.sort_key(column)
                && !texts.contains(&text)
            {
                texts.insert(text);
            }
        }
        let mut alphabet: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
        alphabet.sort_unstable();
        let ranks: HashMap<&str, i64> = alphabet.into_iter().zip(0..).collect();
        let rank = |row: &R| match row.sort_key(column) {
            SortKey::Number(number) => number,
            SortKey::Text(text) => ranks.get(text.as_ref()).copied().unwrap_or_default(),
        };
        let mut keyed: Vec<(i64, u32)> =
            self.natural.iter().map(|place| (rank(&self.rows[*place as usize]), *place)).collect();
        if reversed {
            keyed.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        } else {
            keyed.sort_by_key(|(rank, _)| *rank);
        }
        self.sorted = keyed.into_iter().map(|(_, place)| place).collect();
    }

    fn sift_again(&mut self) {
        self.sifting = Some(Sifting::new());
    }

    fn sift_whole(&mut self, now: Timestamp) {
        self.sift_again();
        while self.work(now) {}
    }

    /// Whether rows are still looked through.
    pub fn has_work(&self) -> bool {
        self.sifting.is_some()
    }

    /// Looks through the next rows; says whether there are more. What is shown changes when all are looked through.
    pub fn work(&mut self, now: Timestamp) -> bool {
        if self.unsorted && self.sifting.is_some() {
            self.unsorted = false;
            self.sort_again();
            return true;
        }
        let Some(sifting) = &mut self.sifting else { return false };
        let end = (sifting.looked_at + SLICE).min(self.sorted.len());
        for place in &self.sorted[sifting.looked_at..end] {
            match self.filter.node.fits(&self.rows[*place as usize], now) {
                Fit::Yes => sifting.fitting.push(*place),
                Fit::Unknown => sifting.unknown += 1,
                Fit::No => {}
            }
        }
        sifting.looked_at = end;
        if end < self.sorted.len() {
            return true;
        }
        let at = self.current().map(Row::key);
        if let Some(sifting) = self.sifting.take() {
            self.shown = sifting.fitting;
            self.unknown = sifting.unknown;
        }
        self.select_key(at);
        false
    }

    /// The loaded rows, in their order, that cannot be judged before they are loaded as a whole, at most so many.
    pub fn unknown_rows(&self, most: usize, now: Timestamp) -> Vec<R::Key> {
        let unknown = |row: &&R| self.filter.node.fits(*row, now) == Fit::Unknown;
        self.rows().filter(unknown).take(most).map(Row::key).collect()
    }

    /// Keeps the selection on its row, or else about where it was.
    fn select_key(&mut self, key: Option<R::Key>) {
        let last = self.shown.len().saturating_sub(1);
        let same_place = self.current().map(Row::key) == key;
        if !same_place
            && let Some(place) = key.and_then(|key| self.places.get(&key))
            && let Some(position) = self.shown.iter().position(|shown| shown == place)
        {
            // What is on the screen stays where it is.
            let shift = position as isize - self.selected as isize;
            if self.offset > 0 {
                self.offset = self.offset.saturating_add_signed(shift);
            }
            self.selected = position;
        }
        self.selected = self.selected.min(last);
        self.offset = self.offset.min(last);
    }

    /// Selects the row of this key, if it is shown.
    pub fn select(&mut self, key: &R::Key) {
        if let Some(place) = self.places.get(key)
            && let Some(position) = self.shown.iter().position(|shown| shown == place)
        {
            self.selected = position;
        }
    }

    /// Moves the selection.
    pub fn step(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// Selects the row at this position.
    pub fn go_to(&mut self, position: usize) {
        self.selected = position.min(self.shown.len().saturating_sub(1));
    }

    /// Moves the first row on the screen so that the selected one is on it.
    pub fn fit_to(&mut self, height: usize) {
        let height = height.max(1);
        if self.selected < self.offset {
            self.offset = self.selected;
        } else if self.selected >= self.offset + height {
            self.offset = self.selected + 1 - height;
        }
        self.offset = self.offset.min(self.shown.len().saturating_sub(height));
    }

    /// Marks the selected row, or takes its mark away.
    pub fn toggle_mark(&mut self) {
        if let Some(key) = self.current().map(Row::key)
            && !self.marks.remove(&key)
        {
            self.marks.insert(key);
        }
    }

    /// How many rows are marked and not shown.
    pub fn marked_hidden(&self) -> usize {
        self.marks.len() - self.shown_from(0).filter(|row| self.is_marked(&row.key())).count()
    }

    /// Marks all rows that are shown; if they all are, takes their marks away. The marks of others stay.
    pub fn toggle_all(&mut self) {
        let keys: Vec<R::Key> = self.shown_from(0).map(Row::key).collect();
        if keys.iter().all(|key| self.marks.contains(key)) {
            keys.iter().for_each(|key| self.unmark(key));
        } else {
            self.marks.extend(keys);
        }
    }

    /// Takes a mark away.
    pub fn unmark(&mut self, key: &R::Key) {
        self.marks.remove(key);
    }

    /// Takes all marks away; says whether there were any.
    pub fn unmark_all(&mut self) -> bool {
        let any = !self.marks.is_empty();
        self.marks.clear();
        any
    }
}

impl Sifting {
    fn new() -> Self {
        Sifting { looked_at: 0, fitting: Vec::new(), unknown: 0 }
    }
}

#[cfg(test)]
mod tests;
