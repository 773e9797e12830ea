//! `deploy/Containerfile`.

use super::{commands::Invocation, path, text};

/// An instruction with what it says, over continued lines.
fn instructions() -> Vec<(String, String)> {
    let text = text("deploy/Containerfile");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    let mut instructions: Vec<(String, String)> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        let (line, more) = match line.strip_suffix('\\') {
            Some(line) => (line.trim(), true),
            None => (line.trim(), false),
        };
        if goes_on {
            let (_, said) = instructions.last_mut().expect("a beginning");
            said.push(' ');
            said.push_str(line);
        } else {
            let (name, said) = line.split_once(' ').expect(line);
            instructions.push((name.to_owned(), said.to_owned()));
        }
        goes_on = more;
    }
    assert!(!goes_on, "the last line goes on");
    instructions
}

/// A stage of the build.
struct Stage {
    /// What it begins with.
    image: String,
    name: Option<String>,
    instructions: Vec<(String, String)>,
}

fn stages() -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for (name, said) in instructions() {
        match &*name {
            "FROM" => {
                let (image, name) = match said.split_once(" AS ") {
                    Some((image, name)) => (image.to_owned(), Some(name.to_owned())),
                    None => (said, None),
                };
                stages.push(Stage { image, name, instructions: Vec::new() });
            }
            "RUN" | "WORKDIR" | "COPY" | "ENV" | "USER" | "EXPOSE" | "ENTRYPOINT" | "CMD" => {
                stages.last_mut().expect("FROM is first").instructions.push((name, said));
            }
            _ => panic!("an instruction that is not checked: {name}"),
        }
    }
    stages
}

fn list(said: &str) -> Vec<String> {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{said}: {error}"))
}

/// What an instruction of the last stage says.
fn last(name: &str) -> String {
    let stages = stages();
    let instructions = &stages.last().expect("stages").instructions;
    let mut said = instructions.iter().filter(|(known, _)| known == name).map(|(_, said)| said.clone());
    let found = said.next().unwrap_or_else(|| panic!("the last stage has no {name}"));
    assert_eq!(said.next(), None, "{name} is there twice");
    found
}

#[test]
fn the_image_is_debian_slim_and_its_account_has_no_rights() {
    let stages = stages();
    assert!(stages.len() > 1, "the compiler does not go along");
    for Stage { image, .. } in &stages {
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        // All are of one Debian: the program finds the C library that it was linked with.
        assert!(tag.contains("bookworm") && tag.contains("slim") && tag != "latest", "{image}");
    }
    assert_eq!(stages.last().expect("stages").image, "docker.io/library/debian:bookworm-slim");
    let (user, group) =
        last("USER").split_once(':').map(|(user, group)| (user.to_owned(), group.to_owned())).expect("both");
    assert!(user.parse::<u32>().is_ok_and(|id| id > 0), "a number, which Kubernetes can see not to be root");
    assert!(group.parse::<u32>().is_ok_and(|id| id > 0));
    assert!(
        last("RUN").contains(&format!("--uid {user} ")) && last("RUN").contains(&format!("--gid {group} "))
    );
}

#[test]
fn what_is_copied_is_there() {
    let stages = stages();
    let mut built = Vec::new();
    for Stage { name, instructions, .. } in &stages {
        for (_, said) in instructions.iter().filter(|(name, _)| name == "COPY") {
            let words: Vec<&str> = said.split_whitespace().collect();
            match words[0].strip_prefix("--from=") {
                Some(stage) => assert!(built.contains(&stage), "{said}"),
                None => assert!(path(words[0]).exists(), "{said}"),
            }
        }
        built.extend(name.as_deref());
    }
    let ignored = text("deploy/Containerfile.dockerignore");
    for needed in ["Cargo.lock", "web", "web/ui", "scripts", "src", "docs", "config"] {
        assert!(ignored.lines().all(|line| line != needed), "{needed} is needed");
    }
}

#[test]
fn the_compiler_is_new_enough() {
    let manifest = text("Cargo.toml");
    let wanted = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version");
    let stages = stages();
    let compiler = stages.iter().find(|stage| stage.name.as_deref() == Some("program"));
    let image = &compiler.expect("a stage that compiles").image;
    assert!(image.starts_with(&format!("docker.io/library/rust:{}-", wanted.trim_matches('"'))), "{image}");
}

#[test]
fn the_image_starts_a_server() {
    let entry = list(&last("ENTRYPOINT"));
    assert_eq!(entry, ["/usr/bin/tini", "--", "/usr/bin/callboard"]);
    let environment = last("ENV");
    let environment = environment.split_whitespace().map(|pair| pair.split_once('=').expect("a value"));
    let image = Invocation {
        place: "Containerfile".to_owned(),
        arguments: list(&last("CMD")),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        files: Vec::new(),
    };
    let effective = image.check();
    assert_eq!(effective.get("data.dir"), "\"/var/lib/callboard\"");
    assert!(last("RUN").contains("--mode 0700 /var/lib/callboard"));
    // Nobody else reaches a server that was not told how to ask for tokens.
    assert_eq!(effective.get("web.listen"), "\"127.0.0.1:8080\"");
    assert_eq!(last("EXPOSE"), "8080");
}
