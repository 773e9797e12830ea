//! The store by itself: what every backend does in the same way.
//!
//! Every operation in every state, once and sent again; reads, paging, the log; many nodes at once, some of them killed; random
//! operations, restarts and deaths against a model that knows every answer beforehand. After each test the log must have no
//! gaps, each job must have gone a way that a job can go, and the totals must be what a recount gives.
//!
//! Describe the backend ([`Backend`]) and declare the suite ([`store_suite!`](crate::store_suite)). For tests of what is the
//! backend's own, [`Client`] and [`words`] are short ways to use a store.

mod backend;
#[doc(hidden)]
pub mod cases;
mod chance;
mod client;
#[doc(hidden)]
pub mod stage;
pub mod words;

pub use self::{
    backend::{Backend, Releases},
    client::Client,
};

/// Declares the suite's cases as tests of one backend, in a module of this name.
///
/// ```no_run
/// use std::sync::{Arc, atomic::AtomicI64};
///
/// use callboard_actors::edges::store::{Clock, SqliteOptions, SqliteStore, Store};
/// use callboard_conformance::store::Backend;
///
/// /// A file in a folder of its own, as an author of SQLite's store would describe it.
/// struct Sqlite {
///     folder: tempfile::TempDir,
///     clock: Arc<AtomicI64>,
/// }
///
/// impl Backend for Sqlite {
///     const SHARED: bool = false;
///
///     async fn create(clock: Arc<AtomicI64>) -> Self {
///         Sqlite { folder: tempfile::tempdir().unwrap(), clock }
///     }
///
///     async fn open(&self, node: &str) -> Arc<dyn Store> {
///         let options = SqliteOptions::new(self.folder.path().join("callboard.db"));
///         let clock = Clock::Manual(self.clock.clone());
///         SqliteStore::open(SqliteOptions { clock, node: node.into(), ..options }).unwrap()
///     }
///
///     async fn kill(&mut self, store: Arc<dyn Store>) {
///         // The file and its log as they stand, neither closed.
///         let copy = tempfile::tempdir().unwrap();
///         for name in ["callboard.db", "callboard.db-wal"] {
///             std::fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
///         }
///         drop(store);
///         self.folder = copy;
///     }
///
///     async fn settle(&self, _: &dyn Store) {}
///
///     async fn remove(self) {}
/// }
///
/// callboard_conformance::store_suite!(sqlite: Sqlite);
/// # fn main() {}
/// ```
///
/// A backend that has been released before is also held to open what its past versions left ([`Releases`](crate::store::Releases)):
/// `store_suite!(sqlite: Sqlite, releases);`
///
/// `CALLBOARD_SEED` repeats what a test with chance did.
#[macro_export]
macro_rules! store_suite {
    ($name:ident: $backend:ty, releases) => {
        $crate::store_suite! { $name: $backend; {
            #[test]
            fn what_a_release_left_is_opened_without_loss() {
                $crate::store::stage::start($crate::store::cases::releases::what_a_release_left_is_opened_without_loss::<$backend>());
            }
        } }
    };
    ($name:ident: $backend:ty) => {
        $crate::store_suite! { $name: $backend; {} }
    };
    ($name:ident: $backend:ty; { $($more:item)* }) => {
        $crate::store_suite! { $name: $backend; { $($more)* };
            submitting:
                a_new_job_is_kept_to_the_letter,
                a_trace_stays_with_its_job_in_every_attempt_and_replay,
                a_job_is_stored_once_whoever_sends_it_again,
                doubles_within_a_batch_are_told_apart,
                a_double_says_the_state_of_the_first,
                a_deleted_job_can_be_stored_anew,
                a_full_backlog_refuses_new_jobs_and_no_others,
                a_full_store_refuses_new_jobs_of_every_queue,
                a_held_job_waits_and_says_why,
                a_held_job_with_a_time_waits_for_both,
                a_large_batch_is_stored_whole_and_in_its_order,
                a_batch_that_nobody_waits_for_is_carried_out;
            choosing:
                a_job_with_a_time_waits_for_it,
                a_time_that_has_passed_is_now,
                what_fell_due_first_goes_first,
                the_highest_priority_goes_first,
                the_oldest_that_waits_is_found_at_every_priority,
                jobs_are_found_by_their_tags,
                a_replay_keeps_priority_tags_and_key;
            keys:
                a_request_with_a_key_is_answered_as_it_was_at_first,
                another_request_under_a_key_is_refused,
                a_request_that_stores_nothing_leaves_no_key,
                twice_in_one_batch_is_once,
                of_many_that_send_one_request_one_stores_it,
                keys_are_deleted_when_they_are_old;
            unique:
                the_first_of_a_kind_has_the_place_and_the_others_hear_of_it,
                a_place_is_kept_in_its_states_and_free_in_the_others,
                a_place_is_free_when_its_time_is_over,
                what_is_replaced_is_called_off_in_the_same_step,
                a_replacement_needs_no_room_but_its_own,
                jobs_of_one_kind_in_a_batch_see_each_other,
                of_many_that_want_one_place_one_has_it,
                a_request_with_a_key_remembers_whose_place_it_was,
                what_comes_from_outside_can_have_a_place_too;
            attempts:
                claims_in_order,
                a_claim_takes_its_own_queue_only,
                leases_whose_claim_was_not_answered_are_given_again,
                one_batch_can_store_claim_and_end_jobs,
                only_the_current_lease_can_write,
                a_lease_on_a_job_that_was_never_claimed_is_stale,
                each_end_of_an_attempt_leads_to_its_state,
                a_start_is_told_once_with_how_long_the_job_had_waited,
                an_end_can_tell_of_the_start_as_well,
                each_event_of_the_old_contract_comes_at_most_once,
                what_is_handed_back_comes_first_and_what_failed_comes_last,
                tokens_grow_over_every_attempt_and_every_life,
                the_last_hundred_attempts_are_shown,
                a_snoozed_run_is_continued_at_its_time_and_costs_no_attempt,
                whatever_an_attempt_says_is_kept;
            control:
                cancel_in_every_state,
                a_cancelled_run_ends_as_it_wants_but_does_not_go_on,
                retry_in_every_state,
                a_replay_needs_room_and_its_first_one,
                due_jobs_become_available_in_bounded_steps,
                nothing_is_claimed_of_a_paused_queue,
                held_jobs_are_released_by_their_type;
            queue_pause:
                a_queue_says_why_it_is_paused,
                a_queue_is_paused_by_crashes_once,
                what_crashed_before_a_queue_was_let_go_on_does_not_pause_it,
                of_many_nodes_that_pause_a_queue_one_says_why;
            dead_jobs:
                dead_jobs_are_grouped_by_what_they_died_of,
                the_last_success_is_one_of_the_same_type_and_queue,
                a_replay_with_another_payload_keeps_what_was_changed;
            bulk:
                a_bulk_operation_is_begun_once_and_known_until_it_is_old,
                each_job_of_a_bulk_retry_is_run_again_once,
                a_bulk_retry_waits_while_there_is_no_room,
                what_a_bulk_operation_does_with_each_job_is_counted,
                a_bulk_retry_with_a_patch_keeps_it_with_each_job,
                of_many_that_make_one_step_one_does;
            encryption:
                what_is_encrypted_is_found_page_by_page,
                a_text_is_exchanged_if_it_is_still_the_one_that_was_found,
                of_many_that_exchange_one_text_one_does;
            edges:
                jobs_of_a_tripped_edge_wait_and_keep_their_places,
                an_edge_is_ready_by_itself_when_its_time_is_over,
                a_job_waits_for_each_edge_that_it_needs,
                jobs_with_keys_wait_for_their_edges_too,
                whatever_becomes_available_waits_too_and_what_runs_goes_on,
                what_stands_behind_many_parked_jobs_is_claimed,
                edges_are_known_once_they_were_tripped_and_not_without_bound,
                no_claim_after_a_trip_gives_what_needs_the_edge;
            sessions:
                a_session_is_opened_renewed_and_closed,
                a_renewal_tells_of_the_attempts_that_are_to_end,
                a_session_is_ended_only_after_it_was_silent_for_as_long_as_was_asked,
                one_session_leads_until_it_ends_or_is_silent,
                a_store_for_several_processes_has_one_leader_of_many,
                other_nodes_are_told,
                what_kills_its_nodes_waits_in_quarantine,
                the_attempts_of_a_dead_session_are_ended_in_bounded_steps,
                nobody_is_rescued_of_a_session_that_holds_nothing;
            fleet:
                a_node_is_known_by_its_open_session,
                a_queue_gives_its_jobs_only_to_nodes_that_have_its_labels,
                labels_hold_also_with_keys_and_limits,
                a_program_that_is_too_old_claims_nothing,
                what_a_node_is_told_waits_for_it_until_it_is_void,
                who_changes_what_is_kept_with_the_change;
            reports:
                what_a_run_says_is_kept_and_told,
                a_report_that_is_sent_again_changes_nothing,
                of_two_words_on_the_progress_the_later_one_counts,
                only_the_current_lease_can_report,
                a_report_can_tell_of_the_start_as_well,
                each_run_has_a_log_of_its_own_and_begins_without_progress,
                a_log_is_read_page_by_page_and_shows_its_gaps,
                a_report_and_the_end_of_its_run_can_come_together,
                what_runs_said_is_deleted_with_their_job_in_bounded_steps,
                the_last_hundred_runs_keep_what_they_said;
            signals:
                a_signal_is_kept_in_order_and_told,
                a_signal_that_is_sent_again_is_one,
                jobs_that_have_ended_take_no_signals,
                a_job_has_so_many_signals_and_no_more,
                each_attempt_gets_what_is_unacknowledged,
                many_jobs_are_asked_for_at_once,
                acknowledged_signals_stay_for_a_while_and_all_go_with_their_job,
                a_job_that_is_with_a_worker_outside_takes_no_signals,
                the_newest_state_of_the_newest_run_is_shown;
            retention:
                what_is_old_is_deleted_in_bounded_steps_and_totals_stay,
                a_log_that_was_emptied_goes_on,
                each_final_state_has_its_own_age,
                a_long_log_is_cut_to_its_number;
            log:
                a_reader_goes_on_behind_what_it_saw,
                a_cursor_that_is_not_of_this_log_is_reset,
                the_log_of_one_job_is_a_part_of_the_log,
                what_is_counted_is_what_is_read,
                who_waits_is_told_of_new_events,
                an_event_says_what_happened;
            reading:
                lists_are_filtered_and_paged_without_gaps_while_jobs_are_added,
                jobs_are_found_by_their_ids,
                queues_are_those_made_known_and_those_with_jobs,
                job_types_and_settings_are_kept,
                the_totals_say_when_the_last_job_ended;
            turns:
                keys_take_turns,
                small_claims_are_as_fair_as_large_ones,
                keys_at_their_limit_do_not_hold_up_the_others,
                many_keys_are_served_one_by_one,
                limits_by_key_are_never_passed,
                rates_are_never_passed_and_always_reached,
                rates_hold_for_many_claimers_at_once,
                a_rate_says_when_to_ask_again,
                a_rate_holds_also_for_jobs_without_keys,
                limits_are_changed_one_by_one,
                the_oldest_that_waits_is_found_with_and_without_key,
                a_paused_queue_gives_no_keys_either;
            inbox:
                an_event_stores_its_job_once,
                an_event_of_which_nothing_was_stored_is_a_new_one_again,
                our_own_event_that_comes_back_changes_nothing,
                of_many_that_get_one_event_one_stores_its_job,
                events_are_forgotten_by_their_age_and_by_their_number;
            outside:
                an_attempt_that_was_handed_over_outlives_its_session,
                the_word_of_a_worker_ends_its_attempt_once,
                only_the_current_token_is_heard,
                a_word_without_a_token_is_about_the_current_attempt,
                of_queues_that_are_not_served_outside_nothing_is_heard,
                a_failed_attempt_is_followed_as_the_plan_says,
                what_is_not_heard_of_lapses_in_bounded_steps,
                a_word_keeps_an_attempt_alive_and_tells_of_its_start,
                a_word_can_come_before_the_lease_is_handed_over,
                a_job_that_is_cancelled_outside_is_cancelled_at_once,
                a_job_that_was_cancelled_before_it_is_handed_over_ends,
                of_many_that_hear_of_one_end_one_writes_it,
                held_jobs_are_released_by_a_queue_that_is_served_outside,
                no_more_are_out_than_may_be;
            workflow:
                a_step_runs_when_those_before_it_are_done,
                ends_that_are_told_again_change_nothing,
                what_nobody_told_of_is_found,
                a_failed_step_blocks_what_waits_for_it_and_nothing_else,
                a_step_that_is_cancelled_by_itself_counts_as_failed,
                a_step_that_was_cancelled_before_its_turn_waits_again_when_resumed,
                a_step_that_is_cancelled_in_a_failed_workflow_does_not_hold_up_its_repair,
                a_failed_workflow_goes_on_after_its_repair,
                a_dead_job_that_is_run_again_by_itself_is_its_step_again,
                a_batch_tells_of_its_end_whichever_way,
                cancelling_a_workflow_ends_all_of_it,
                a_running_step_fans_out_and_what_waits_gathers_it,
                a_workflow_that_is_cancelled_takes_no_more_steps,
                a_step_sees_what_those_before_it_gave,
                a_workflow_is_stored_once_and_whole,
                workflows_are_listed_and_paged,
                what_steps_gave_is_kept_as_long_as_their_workflow,
                only_the_leader_advances_and_forgets,
                what_many_steps_wait_for_is_advanced_in_bounded_writes,
                ten_thousand_steps_cost_ten_thousand_times_one;
            cron:
                an_entry_is_kept_to_the_letter,
                a_time_stores_one_job,
                of_many_that_fire_a_time_one_does,
                a_leader_of_before_fires_nothing,
                those_that_are_due_come_first,
                a_paused_entry_waits_for_nothing,
                the_job_before_is_waited_for,
                the_job_before_is_replaced,
                a_job_for_which_there_is_no_room_waits_a_minute,
                missed_times_are_counted,
                the_last_times_are_kept,
                a_job_of_an_entry_is_stored_by_hand,
                a_configuration_keeps_its_entries_and_no_others,
                entries_are_not_without_bound;
            concurrency:
                a_limit_over_all_nodes_is_never_passed,
                sixteen_claimers_never_share_a_job,
                claimers_that_are_killed_lose_no_job_and_share_none,
                of_many_that_submit_one_job_one_stores_it,
                of_an_end_and_a_cancel_at_a_time_one_is_first,
                of_many_that_ask_for_one_replay_all_get_the_same,
                a_backlog_is_not_overrun_by_more_than_those_who_submit_at_a_time,
                reads_see_whole_batches_while_others_are_written,
                readers_of_the_log_miss_nothing_while_many_write;
        }
    };
    ($name:ident: $backend:ty; { $($more:item)* }; $($topic:ident: $($test:ident),+;)+) => {
        mod $name {
            #[allow(unused_imports, reason = "the backend may be named by a path from the root")]
            use super::*;

            $($(
                #[test]
                fn $test() {
                    $crate::store::stage::start($crate::store::stage::run::<$backend>($crate::store::cases::$topic::$test));
                }
            )+)+

            #[test]
            fn any_operations_agree_with_the_model() {
                $crate::store::cases::model::any_operations_agree_with_the_model::<$backend>();
            }

            $($more)*
        }
    };
}
