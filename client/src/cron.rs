//! Calls about the cron table.

use callboard_contracts::api::{CronDefinition, CronPreview, CronRun, CronView};
use serde_json::{Value, json};

use crate::{Client, ClientError, request::Call, server::escaped};

fn path(name: &str) -> String {
    format!("/api/v1/cron/{}", escaped(name))
}

impl Client {
    /// The cron table, by name.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cron(&self) -> Result<Vec<CronView>, ClientError> {
        self.call(Call::get("/api/v1/cron")).await
    }

    /// An entry of the cron table.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such entry.
    pub async fn cron_entry(&self, name: &str) -> Result<CronView, ClientError> {
        self.call(Call::get(path(name))).await
    }

    /// Makes an entry of the cron table, or changes it. How it is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 422 for what cannot be, and 409 for an entry of the configuration.
    pub async fn put_cron(&self, name: &str, definition: &CronDefinition) -> Result<CronView, ClientError> {
        self.call(Call::put(path(name), definition)?).await
    }

    /// Takes an entry out of the cron table. Its jobs stay.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such entry, also when an answer was lost that said it is gone, and
    /// 409 for one of the configuration.
    pub async fn delete_cron(&self, name: &str) -> Result<(), ClientError> {
        self.call::<Value>(Call::delete(path(name))).await.map(drop)
    }

    /// Lets an entry store no more jobs. How it is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such entry.
    pub async fn pause_cron(&self, name: &str) -> Result<CronView, ClientError> {
        self.call(Call::post(format!("{}/pause", path(name)), &json!({}))?.repeatable()).await
    }

    /// Lets a paused entry go on. How it is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such entry.
    pub async fn resume_cron(&self, name: &str) -> Result<CronView, ClientError> {
        self.call(Call::post(format!("{}/resume", path(name)), &json!({}))?.repeatable()).await
    }

    /// Stores a job of an entry now. Is not tried again when it is not known whether it was done.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such entry.
    pub async fn run_cron(&self, name: &str) -> Result<CronRun, ClientError> {
        self.call(Call::post(format!("{}/run", path(name)), &json!({}))?).await
    }

    /// What an expression means in a time zone: in words, and its next times, 1 to 100.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 422 for what is no expression, or no time zone.
    pub async fn preview_cron(
        &self,
        expression: &str,
        time_zone: &str,
        count: u32,
    ) -> Result<CronPreview, ClientError> {
        let query = vec![
            ("expression", expression.to_owned()),
            ("time_zone", time_zone.to_owned()),
            ("count", count.to_string()),
        ];
        self.call(Call::get("/api/v1/cron/preview").query(query)).await
    }
}
