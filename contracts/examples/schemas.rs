//! Writes `contracts/schemas/` anew: `cargo run -p callboard-contracts --example schemas`.

use std::{fs, io, path::Path};

use callboard_contracts::schema;

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    fs::create_dir_all(&folder)?;
    for contract in schema::all() {
        fs::write(folder.join(contract.file), schema::render(&contract.schema))?;
        println!("contracts/schemas/{}", contract.file);
    }
    Ok(())
}
