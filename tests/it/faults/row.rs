//! What a fault has come to, as a line of the table.

use std::time::Duration;

use super::verdict::Counts;

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) words: String,
    pub(super) lasted: Duration,
    pub(super) counts: Counts,
    /// Until the jobs had ended that were under way when a node was lost.
    pub(super) taken_over: Option<Duration>,
    /// After the end of the fault, until jobs had ended that were submitted then through each server.
    pub(super) flows: Duration,
    /// All that is not as promised.
    pub(super) problems: Vec<String>,
}

impl Row {
    pub(super) fn new(words: String) -> Row {
        Row {
            words,
            lasted: Duration::ZERO,
            counts: Counts::default(),
            taken_over: None,
            flows: Duration::ZERO,
            problems: Vec::new(),
        }
    }

    pub(super) fn line(&self) -> String {
        let Row { words, lasted, counts, taken_over, flows, problems } = self;
        let Counts { jobs, lost, doubled, repeated, programs, stale, heard_again } = counts;
        let broken = if problems.is_empty() { "" } else { " **broken**" };
        let taken_over = taken_over.map_or("–".to_owned(), seconds);
        format!(
            "| {words}{broken} | {} s | {jobs} | {lost} | {doubled} | {repeated} | {programs} | {stale} | {heard_again} | \
             {taken_over} | {} |\n",
            lasted.as_secs(),
            seconds(*flows)
        )
    }
}

pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = "| what went wrong | for | jobs | lost | doubled | attempts repeated | programs repeated | stale writes refused \
                    | events heard again | a dead node's jobs done after | work flows after |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    rows.iter().for_each(|row| text.push_str(&row.line()));
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
