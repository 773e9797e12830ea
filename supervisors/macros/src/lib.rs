//! The derive macros of callboard-supervisors.

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path, Type, parse_quote};

/// Makes a type a message. `#[message(reply = T)]` says what handling it yields; the default is `()`.
#[proc_macro_derive(Message, attributes(message))]
pub fn message(input: TokenStream) -> TokenStream {
    expand(input, parse_quote!(::callboard_supervisors))
}

/// The same derive for those who depend on `callboard` alone, which re-exports it as `Message`.
#[proc_macro_derive(CallboardMessage, attributes(message))]
pub fn callboard_message(input: TokenStream) -> TokenStream {
    expand(input, parse_quote!(::callboard))
}

fn expand(input: TokenStream, home: Path) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    implement(&input, home).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn implement(input: &DeriveInput, home: Path) -> syn::Result<proc_macro2::TokenStream> {
    let mut reply: Option<Type> = None;
    let mut home = home;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("message")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("reply") {
                if reply.is_some() {
                    return Err(meta.error("`reply` is given twice"));
                }
                reply = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                home = meta.value()?.call(Path::parse_mod_style)?;
            } else {
                return Err(meta.error("expected `reply = Type` or `crate = path`"));
            }
            Ok(())
        })?;
    }
    let reply = reply.unwrap_or_else(|| parse_quote!(()));
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #home::__private::ActixMessage for #name #arguments #bounds {
            type Result = #reply;
        }
    })
}
