use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::filter::Field;

#[derive(Clone, Debug, PartialEq)]
struct Item {
    number: u32,
    name: String,
}

impl Fields for Item {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        match name {
            "number" => Field::Number(self.number.into()),
            "secret" if self.number < 3 => Field::Unknown,
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(&self.name)
    }
}

impl Row for Item {
    type Key = u32;
    const COLUMNS: &'static [Column] = &[Column::new("NUMBER", 6), Column::new("NAME", 6)];
    const FIELDS: &'static [&'static str] = &["number", "secret"];

    fn key(&self) -> u32 {
        self.number
    }

    fn cell(&self, _: usize, _: Timestamp) -> Cell {
        self.name.as_str().into()
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        match column {
            0 => SortKey::Number(self.number.into()),
            _ => SortKey::Text(Cow::Borrowed(&self.name)),
        }
    }

    fn rank(&self) -> Option<(i64, u128)> {
        Some((self.number.into(), 0))
    }
}

const NOW: Timestamp = Timestamp::MIN;

fn item(number: u32) -> Item {
    Item { number, name: format!("{}-{number}", ["ada", "bob", "cyd"][number as usize % 3]) }
}

/// A table with these numbers, newest first, as they are.
fn table(numbers: impl IntoIterator<Item = u32>) -> Table<Item> {
    let mut table = Table::default();
    table.append(numbers.into_iter().map(item).collect(), 1000, NOW);
    table
}

fn shown(table: &mut Table<Item>) -> Vec<u32> {
    while table.work(NOW) {}
    table.shown_from(0).map(Row::key).collect()
}

#[test]
fn filters_and_orders_stand_together() {
    let mut table = table([5, 4, 3, 2, 1]);
    table.set_filter("!bob").unwrap();
    assert_eq!(shown(&mut table), [5, 3, 2]);
    table.set_sort(Some((0, false)));
    assert_eq!(shown(&mut table), [2, 3, 5]);
    table.sort_by(1);
    assert_eq!(shown(&mut table), [3, 2, 5], "ada-3, cyd-2, cyd-5");
    table.sort_by(1);
    assert_eq!(shown(&mut table), [5, 2, 3]);
    table.sort_by(1);
    assert_eq!((table.sort(), shown(&mut table)), (None, vec![5, 3, 2]));
    let error = table.set_filter("(").unwrap_err();
    assert!(error.message.contains("missing") && table.filter().text == "!bob", "{error}");
    for expected in [Some((0, false)), Some((1, false)), None, Some((0, false))] {
        table.sort_by_next(true);
        assert_eq!(table.sort(), expected);
    }
    table.sort_by_next(false);
    assert_eq!(table.sort(), None);
}

#[test]
fn the_selection_stays_on_its_row() {
    let mut table = table([5, 4, 3, 2, 1]);
    table.go_to(2);
    table.prepend(vec![item(7), item(6)], 1000, NOW);
    assert_eq!(table.current().map(Row::key), Some(3));
    table.replace(vec![item(9), item(3)], NOW);
    assert_eq!((table.current().map(Row::key), table.selected()), (Some(3), 1));
    table.replace(vec![item(9)], NOW);
    assert_eq!(table.current().map(Row::key), Some(9));
    table.replace(Vec::new(), NOW);
    table.step(-5);
    assert_eq!(table.current(), None);
}

#[test]
fn late_rows_come_to_their_places_and_the_oldest_go() {
    let mut table = table([9, 7, 3]);
    table.prepend(vec![item(5), item(10)], 1000, NOW);
    assert_eq!(shown(&mut table), [10, 9, 7, 5, 3]);
    table.prepend(vec![item(11), item(12)], 5, NOW);
    assert_eq!(table.len(), 5);
    assert!(table.get(&3).is_none(), "the oldest is gone");
    table.append(vec![item(1)], 5, NOW);
    assert!(table.get(&1).is_none(), "what follows has no room");
    table.append(vec![Item { number: 9, name: "new".to_owned() }], 5, NOW);
    assert_eq!(table.get(&9).map(|item| item.name.as_str()), Some("new"));
}

#[test]
fn what_cannot_be_judged_is_counted_and_named() {
    let mut table = table([5, 4, 3, 2, 1]);
    table.set_filter("secret:x or number>4").unwrap();
    assert_eq!((shown(&mut table), table.unknown()), (vec![5], 2));
    assert_eq!(table.unknown_rows(1, NOW), [2]);
}

#[test]
fn marks_are_of_rows_not_of_places() {
    let mut table = table([5, 4, 3, 2, 1]);
    table.toggle_mark();
    table.set_filter("bob").unwrap();
    shown(&mut table);
    table.toggle_all();
    let marked: Vec<u32> = table.marked_rows().map(Row::key).collect();
    assert_eq!(marked, [5, 4, 1]);
    table.unmark(&5);
    table.toggle_all();
    assert_eq!(table.marked(), 0, "all that are shown were marked");
}

#[test]
fn the_selected_row_is_on_the_screen() {
    let mut table = table((0..100).rev());
    table.go_to(usize::MAX);
    table.fit_to(10);
    assert_eq!((table.selected(), table.offset()), (99, 90));
    table.step(-10);
    table.fit_to(10);
    assert_eq!(table.offset(), 89);
}

proptest! {
    /// Whatever is done, what is shown is what fits, once each, in its order.
    #[test]
    fn what_is_shown_is_what_fits(steps in proptest::collection::vec((0_u8..7, 0_u32..60), 0..40)) {
        let mut table: Table<Item> = Table::default();
        for (step, number) in steps {
            match step {
                0 => table.prepend(vec![item(number)], 30, NOW),
                1 => table.append(vec![item(number)], 30, NOW),
                2 => { table.work(NOW); }
                3 => { let _ = table.set_filter(["", "ada", "number>20", "!cyd"][number as usize % 4]); }
                4 => table.set_sort([None, Some((0, false)), Some((1, true))][number as usize % 3]),
                5 => table.go_to(number as usize),
                _ => { table.change(&number, |item| item.name = "ada".to_owned()); table.judge_again(); }
            }
            prop_assert!(table.len() <= 30);
        }
        table.judge_again();
        let found = shown(&mut table);
        let fitting = table.rows().filter(|row| table.filter().node.fits(*row, NOW) == Fit::Yes).count();
        prop_assert_eq!(found.len(), fitting);
        match table.sort() {
            Some((0, false)) => prop_assert!(found.is_sorted()),
            Some((1, true)) => {
                let names: Vec<String> = found.iter().map(|key| table.get(key).unwrap().name.clone()).collect();
                prop_assert!(names.is_sorted_by(|left, right| left >= right));
            }
            _ => {}
        }
    }
}
