//! Onelook on a microcontroller: what its programs have in common, which is the board.
//!
//! # Principles
//!
//! 1. Arithmetic lives in [`shared`], where a desktop can test it; here is only what a board needs.
//! 2. A program knows its board by what [`board`] gives: [`board::Board`] and [`board::Memory`], or
//!    [`board::Devices`].
//! 3. No heap, no panic; `unsafe` in [`board`] and nowhere else.
//!
//! # Programs
//!
//! | program            | what it does                                                        |
//! |--------------------|---------------------------------------------------------------------|
//! | `onelook-device`   | enrols, remembers and recognises: what ships                        |
//! | `onelook-firmware` | answers N-way trials                                                |
//! | `onelook-bench`    | runs each operator between two marks and checks it by its reference |
//! | `onelook-selftest` | checks small operators of every shape by their references           |
//! | `onelook-devices`  | tries link, data flash, camera, clock and watchdog                  |
#![no_std]

pub mod board;
pub mod signature;
