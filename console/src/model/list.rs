//! [`List`].

use crate::{
    filter::FilterError,
    table::{Column, Row, Table},
};

/// A table, whatever its rows are.
pub trait List {
    /// See [`Table::step`].
    fn step(&mut self, by: isize);
    /// See [`Table::go_to`].
    fn go_to(&mut self, position: usize);
    /// See [`Table::fit_to`].
    fn fit_to(&mut self, height: usize);
    /// See [`Table::offset`].
    fn offset(&self) -> usize;
    /// See [`Table::selected`].
    fn selected(&self) -> usize;
    /// See [`Table::sort_by_next`].
    fn sort_by_next(&mut self, forward: bool);
    /// See [`Table::sort_by`].
    fn sort_by(&mut self, column: usize);
    /// See [`Table::sort_reversed`].
    fn sort_reversed(&mut self);
    /// See [`Table::set_filter`].
    ///
    /// # Errors
    /// As that.
    fn set_filter(&mut self, text: &str) -> Result<(), FilterError>;
    /// The filter's text.
    fn filter_text(&self) -> &str;
    /// See [`Table::shown`].
    fn shown(&self) -> usize;
    /// See [`Table::len`].
    fn count(&self) -> usize;
    /// See [`Table::unmark_all`].
    fn unmark_all(&mut self) -> bool;
    /// The columns.
    fn columns(&self) -> &'static [Column];
    /// The fields of filters.
    fn fields(&self) -> &'static [&'static str];
    /// What it is sorted by.
    fn sort(&self) -> Option<(usize, bool)>;
}

impl<R: Row> List for Table<R> {
    fn step(&mut self, by: isize) {
        Table::step(self, by);
    }

    fn go_to(&mut self, position: usize) {
        Table::go_to(self, position);
    }

    fn fit_to(&mut self, height: usize) {
        Table::fit_to(self, height);
    }

    fn offset(&self) -> usize {
        Table::offset(self)
    }

    fn selected(&self) -> usize {
        Table::selected(self)
    }

    fn sort_by_next(&mut self, forward: bool) {
        Table::sort_by_next(self, forward);
    }

    fn sort_by(&mut self, column: usize) {
        Table::sort_by(self, column);
    }

    fn sort_reversed(&mut self) {
        Table::sort_reversed(self);
    }

    fn set_filter(&mut self, text: &str) -> Result<(), FilterError> {
        Table::set_filter(self, text)
    }

    fn filter_text(&self) -> &str {
        &Table::filter(self).text
    }

    fn shown(&self) -> usize {
        Table::shown(self)
    }

    fn count(&self) -> usize {
        Table::len(self)
    }

    fn unmark_all(&mut self) -> bool {
        Table::unmark_all(self)
    }

    fn columns(&self) -> &'static [Column] {
        R::COLUMNS
    }

    fn fields(&self) -> &'static [&'static str] {
        R::FIELDS
    }

    fn sort(&self) -> Option<(usize, bool)> {
        Table::sort(self)
    }
}
