//! The arithmetic of Onelook.
#![no_std]
