//! An app whose jobs have secrets: encrypted where they are stored, hidden where they are shown, there when the job runs.
//!
//! `cargo run --example encrypted --no-default-features --features sqlite -- FOLDER`

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use callboard::{
    App,
    config::EncryptionKeySettings,
    jobs::{Job, JobContext, JobError, JobOptions},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Charges a card.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Charge {
    /// How much, in cents.
    cents: u32,
    /// The number of the card. The mark makes it a secret.
    #[schemars(extend("x-secret" = true))]
    card: String,
}

impl Job for Charge {
    const TYPE: &'static str = "charge";
    type Output = ();

    /// Without a key the app does not start.
    fn options() -> JobOptions {
        JobOptions::new().encryption_required()
    }

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        let last = self.card.get(self.card.len().saturating_sub(4)..).unwrap_or_default();
        let charged = format!("{} cents from the card that ends in {last}", self.cents);
        cx.state::<mpsc::UnboundedSender<String>>()?.send(charged).ok();
        Ok(())
    }
}

/// A key of this name, in a file that only this user reads. A real one comes from `openssl rand -base64 32`.
fn key(folder: &Path, name: &str, byte: u8) -> std::io::Result<EncryptionKeySettings> {
    let file = folder.join(name);
    fs::write(&file, format!("{byte:02x}").repeat(32))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(EncryptionKeySettings { name: name.to_owned(), file: Some(file), env: None })
}

/// Whether a text is in any file of the folder.
fn is_stored(folder: &Path, text: &str) -> std::io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() && fs::read(path)?.windows(text.len()).any(|part| part == text.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "callboard-data".to_owned());
    fs::create_dir_all(&folder)?;
    let keys = vec![key(folder.as_ref(), "2026-11", 1)?, key(folder.as_ref(), "2026-05", 2)?];
    let (charged, mut charges) = mpsc::unbounded_channel::<String>();
    let data = Path::new(&folder).join("data");
    let app = App::builder()
        .data_dir(&data)
        .configure(move |settings| {
            settings.encryption.keys = keys;
            // This one encrypts; the other one still decrypts what was encrypted before.
            settings.encryption.current = Some("2026-11".to_owned());
        })
        .job::<Charge>()
        .state(charged)
        .start()
        .await?;
    let submitted = app.submit(&Charge { cents: 4200, card: "4111111111111234".to_owned() }).await?;
    println!("charged: {}", charges.recv().await.unwrap_or_default());
    let job = app.job(submitted.id).await?;
    println!("shown: {}", serde_json::to_string(&job.payload)?);
    println!("the card is in the store: {}", is_stored(&data, "4111111111111234")?);
    app.stop().await;
    Ok(())
}
