//! A table.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{put, text::fitted};
use crate::{
    model::Model,
    table::{Column, Row, Table},
    theme::Theme,
};

/// The columns that are shown on a screen of this width: their places in the table, and how wide each is.
fn widths(columns: &[Column], width: u16) -> Vec<(usize, u16)> {
    let mut shown: Vec<(usize, u16)> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.from <= width)
        .map(|(place, column)| (place, column.width))
        .collect();
    // The mark stands before the first column, a space before each other one.
    let used: u16 = 1 + shown.iter().map(|(_, width)| width + 1).sum::<u16>();
    let left = width.saturating_sub(used);
    let parts: u16 = shown.iter().map(|(place, _)| columns[*place].grows).sum();
    if let Some(part) = left.checked_div(parts) {
        for (place, width) in &mut shown {
            *width += part * columns[*place].grows;
        }
        // What cannot be shared out goes to the last one, which mostly says the most.
        if let Some((_, width)) = shown.iter_mut().rev().find(|(place, _)| columns[*place].grows > 0) {
            *width += left % parts;
        }
    }
    shown
}

/// The column whose heading is at this place of the screen.
pub(crate) fn heading_at(columns: &[Column], width: u16, at: u16) -> Option<usize> {
    let mut from = 1;
    for (place, width) in widths(columns, width) {
        if (from..from + width).contains(&at) {
            return Some(place);
        }
        from += width + 1;
    }
    None
}

/// Draws the headings and the rows that are on the screen.
pub(super) fn draw<R: Row>(
    model: &Model,
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
    table: &Table<R>,
) {
    let widths = widths(R::COLUMNS, area.width);
    let mut heading = vec![Span::raw(" ")];
    for (place, width) in &widths {
        let column = &R::COLUMNS[*place];
        let sign = match table.sort() {
            Some((sorted, false)) if sorted == *place => "<",
            Some((sorted, true)) if sorted == *place => ">",
            _ => "",
        };
        let name = format!("{}{sign}", column.name);
        heading.push(Span::styled(fitted(&name, usize::from(*width), column.right), theme.heading()));
        heading.push(Span::raw(" "));
    }
    put(frame, area, 0, Line::from(heading));
    let height = area.height.saturating_sub(1);
    if table.shown() == 0 {
        let said = if table.is_empty() { " nothing is here" } else { " nothing fits the filter" };
        put(frame, area, 1, Line::styled(said, theme.dim()));
    }
    let positions = table.offset()..;
    for (line, (position, row)) in
        (1..).zip(positions.zip(table.shown_from(table.offset()).take(usize::from(height))))
    {
        let marked = table.is_marked(&row.key());
        let mut spans = vec![Span::raw(if marked { "*" } else { " " })];
        for (place, width) in &widths {
            let cell = row.cell(*place, model.now);
            let text = fitted(&cell.text, usize::from(*width), R::COLUMNS[*place].right);
            spans.push(Span::styled(text, theme.tone(cell.tone)));
            spans.push(Span::raw(" "));
        }
        let mut line_of = Line::from(spans);
        if position == table.selected() {
            line_of = line_of.style(theme.selected());
        }
        put(frame, area, line, line_of);
    }
}
