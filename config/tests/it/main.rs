//! What a user of the package sees.

mod documentation;
mod errors;
mod files;
mod folder;
mod layering;
mod live;
mod robustness;
