//! The derive macros of callboard-supervisors.
