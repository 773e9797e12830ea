//! What it costs to encrypt and to decrypt a payload.
//!
//! `cargo run --release -p callboard-actors --no-default-features --example seal`

use std::{error::Error, hint::black_box, time::Instant};

use callboard_actors::encryption::Keyring;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Rounds of which the median is told.
const ROUNDS: usize = 21;
/// Payloads of one round.
const PAYLOADS: u32 = 20_000;

/// Microseconds for one of what `each` does, the median of the rounds.
fn median(mut each: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..PAYLOADS {
            each()?;
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(PAYLOADS));
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[ROUNDS / 2])
}

fn main() -> Result<(), Box<dyn Error>> {
    let key = ("key".to_owned(), SecretString::from("ab".repeat(32)));
    let keys = Keyring::new([key], Some("key"), None)?;
    println!("bytes  encrypt (us)  decrypt (us)  as JSON, both (us)");
    for bytes in [64, 1024, 16 * 1024] {
        let payload = json!({ "to": "ada@example.org", "body": "x".repeat(bytes - 36) });
        let text = payload.to_string();
        let sealed = keys.encrypt_payload("mail", &payload).ok_or("there is a key")?;
        let encrypt = median(|| {
            black_box(keys.encrypt_payload("mail", black_box(&payload)));
            Ok(())
        })?;
        let decrypt = median(|| {
            black_box(keys.decrypt_payload("mail", black_box(&sealed))?);
            Ok(())
        })?;
        // What is done with every payload: it is read, and written.
        let plain = median(|| {
            let value: Value = serde_json::from_str(black_box(&text))?;
            black_box(value.to_string());
            Ok(())
        })?;
        println!("{:>5}  {encrypt:>12.2}  {decrypt:>12.2}  {plain:>18.2}", text.len());
    }
    Ok(())
}
