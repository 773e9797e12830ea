//! Puts the pages into the program, if they were built (`scripts/pages`): a table of the files in `ui/dist`.

use std::{
    env, fs,
    hash::{DefaultHasher, Hasher},
    io::{Error, Result},
    path::{Path, PathBuf},
};

/// The forms in which a file lies there beside the plain one: its ending, and the field of the table.
const FORMS: [(&str, &str); 2] = [("br", "brotli"), ("gz", "gzip")];

fn main() -> Result<()> {
    let built = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("ui/dist");
    // The folder is always there, so that this is not run for nothing.
    println!("cargo::rerun-if-changed=ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
    let mut names = Vec::new();
    if built.join("index.html").is_file() {
        collect(&built, "", &mut names)?;
        names.sort();
    }
    let mut table = "&[\n".to_owned();
    for name in &names {
        let plain = built.join(name);
        let mut hash = DefaultHasher::new();
        hash.write(&fs::read(&plain)?);
        table.push_str(&format!("    File {{ name: {name:?}, tag: \"{:016x}\", ", hash.finish()));
        table.push_str(&format!("plain: include_bytes!({:?}), ", path(&plain)?));
        for (ending, field) in FORMS {
            let form = built.join(format!("{name}.{ending}"));
            match form.is_file() {
                true => table.push_str(&format!("{field}: Some(include_bytes!({:?})), ", path(&form)?)),
                false => table.push_str(&format!("{field}: None, ")),
            }
        }
        table.push_str("},\n");
    }
    table.push_str("]\n");
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("pages.rs"), table)
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| Error::other(format!("{name}: {error}")))
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::other(format!("{} is no UTF-8", path.display())))
}

/// The names of the files below the folder that stand for themselves, with the folders that they are in.
fn collect(folder: &Path, within: &str, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name =
            name.to_str().ok_or_else(|| Error::other(format!("{} is no UTF-8", entry.path().display())))?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{within}{name}/"), names)?;
        } else if !name.starts_with('.')
            && !FORMS.iter().any(|(ending, _)| name.ends_with(&format!(".{ending}")))
        {
            names.push(format!("{within}{name}"));
        }
    }
    Ok(())
}
