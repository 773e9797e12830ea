//! What lies over a view: questions, forms, pages of text.

use std::collections::BTreeMap;

use callboard_contracts::{
    Timestamp,
    api::{FieldError, FormControl, JobTypeView, StartBulk},
};
use uuid::Uuid;

use crate::{
    exchange::{Change, Effect},
    input::{Input, TextArea},
};

/// What lies over a view.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// The keys that are valid; the first line that is shown.
    Help(usize),
    /// A page of text.
    Text(TextPage),
    /// A question.
    Confirm(Confirm),
    /// A question for a text.
    Prompt(Prompt),
    /// A command is typed.
    Command(Input),
    /// A filter is typed; the one that held before.
    Filter(Input, String),
    /// One of some.
    Menu {
        /// What is chosen.
        title: String,
        /// What there is.
        items: Vec<MenuItem>,
        /// The one that is selected.
        selected: usize,
    },
    /// A new job.
    AddJob(Box<AddJob>),
    /// A payload is edited.
    EditJob(Box<EditJob>),
}

/// A page of text.
#[derive(Clone, Debug)]
pub struct TextPage {
    /// What it is.
    pub title: String,
    /// The lines.
    pub lines: Vec<String>,
    /// The first line that is shown.
    pub scroll: usize,
}

/// A question, and what is done on a yes.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// The question.
    pub question: String,
    /// What is to be known before.
    pub details: Vec<String>,
    /// What is to be typed for a yes; else `y` is enough.
    pub word: Option<String>,
    /// What is typed so far.
    pub typed: Input,
    /// What is done.
    pub changes: Vec<Change>,
}

/// What a text is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum PromptFor {
    /// How many jobs of a queue each node runs at once.
    Concurrency(String),
    /// How many jobs of a queue all nodes run at once.
    Limit(String),
    /// Why an edge is tripped.
    Trip(String),
    /// The value of a setting.
    Setting(String),
}

/// A question for a text.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The question.
    pub question: String,
    /// What may be entered.
    pub hint: String,
    /// What is typed so far.
    pub input: Input,
    /// What was wrong with it.
    pub problem: Option<String>,
    /// What it is for.
    pub purpose: PromptFor,
}

/// One of some things that can be chosen.
#[derive(Clone, Debug)]
pub struct MenuItem {
    /// What it is called.
    pub label: String,
    /// More about it.
    pub about: String,
    /// What is done when it is chosen.
    pub effect: Option<Effect>,
    /// The bulk operation that is looked at first, when it is chosen.
    pub preview: Option<StartBulk>,
}

/// A new job.
#[derive(Clone, Debug)]
pub enum AddJob {
    /// The types are being asked for.
    Loading,
    /// One is chosen: what is typed to find it, and the selected one of those that fit.
    Choose(Input, usize),
    /// The form is filled in.
    Fill(Box<JobForm>),
    /// It was sent.
    Sent {
        /// When.
        at: Timestamp,
        /// What was sent.
        form: Box<JobForm>,
        /// Whether it takes longer than two seconds.
        late: bool,
    },
}

/// What is asked for beside the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// The queue.
    Queue,
    /// The tags.
    Tags,
    /// The priority.
    Priority,
    /// After what time it is to run.
    Delay,
}

impl Extra {
    /// All of them.
    pub const ALL: [Extra; 4] = [Extra::Queue, Extra::Tags, Extra::Priority, Extra::Delay];

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Extra::Queue => "queue",
            Extra::Tags => "tags",
            Extra::Priority => "priority",
            Extra::Delay => "run in",
        }
    }

    /// What may be entered.
    pub fn wanted(self) -> &'static str {
        match self {
            Extra::Queue => "a queue; left out, that of the type",
            Extra::Tags => "words with commas between them",
            Extra::Priority => "a whole number from -1000 to 1000",
            Extra::Delay => "a time such as 30s, 5m or 2h; left out, it runs at once",
        }
    }
}

/// Where something is entered.
#[derive(Clone, Debug)]
pub enum TypedField {
    /// A line.
    Line(Input),
    /// Several lines.
    Area(TextArea),
}

impl TypedField {
    /// What is entered.
    pub fn text(&self) -> String {
        match self {
            TypedField::Line(input) => input.text(),
            TypedField::Area(area) => area.text(),
        }
    }
}

/// A form that is filled in.
#[derive(Clone, Debug)]
pub struct JobForm {
    /// The type.
    pub job_type: JobTypeView,
    /// What is entered: for each field of the type's form, then for each of [`Extra::ALL`].
    pub typed: Vec<TypedField>,
    /// Which field has the cursor; behind the last one is the button.
    pub focus: usize,
    /// What is wrong, by the fields' pointers, or the extras' labels.
    pub errors: Vec<FieldError>,
    /// The id under which it is sent, so that sending it again makes no second job.
    pub id: Uuid,
}

impl JobForm {
    /// An empty form for a type.
    pub fn new(job_type: JobTypeView, id: Uuid) -> Self {
        let field = |control: &FormControl| match control {
            FormControl::Json | FormControl::Texts => TypedField::Area(TextArea::with("")),
            _ => TypedField::Line(Input::default()),
        };
        let mut typed: Vec<TypedField> =
            job_type.form.fields.iter().map(|asked| field(&asked.control)).collect();
        typed.extend(Extra::ALL.map(|_| TypedField::Line(Input::default())));
        JobForm { job_type, typed, focus: 0, errors: Vec::new(), id }
    }

    /// What is entered into the type's own form, by the fields' pointers. What is empty was not entered.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let fields = self.job_type.form.fields.iter().zip(&self.typed);
        let entered = fields.map(|(asked, typed)| (asked.pointer.clone(), typed.text()));
        entered.filter(|(_, text)| !text.is_empty()).collect()
    }

    /// What is entered beside the payload.
    pub fn extra(&self, extra: Extra) -> String {
        let place = Extra::ALL.iter().position(|one| *one == extra).unwrap_or_default();
        let typed = self.typed.get(self.job_type.form.fields.len() + place);
        typed.map(TypedField::text).unwrap_or_default().trim().to_owned()
    }
}

/// A payload that is edited.
#[derive(Clone, Debug)]
pub struct EditJob {
    /// The job.
    pub job: Uuid,
    /// Its payload, as JSON.
    pub area: TextArea,
    /// What was wrong with it.
    pub problem: Option<String>,
}
