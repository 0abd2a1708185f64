//! What comes over the wire: any bytes at all, or a whole message of any bytes.
//!
//! The first byte says which. Bytes are frames, good and bad, to the decoder; it gives the same whether
//! they come one by one or all at once. What is read as a message, written and read again, is the same
//! message, and not longer than it was.

use shared::link::{
    Decoder, FrameError, MAX_FRAME, MAX_PAYLOAD, Packet, Request, encode, parse, request_id,
};

/// The target.
pub fn run(bytes: &[u8]) {
    let Some((&whole, bytes)) = bytes.split_first() else {
        return;
    };
    if whole % 2 == 1 {
        read(&bytes[..bytes.len().min(MAX_PAYLOAD)]);
        return;
    }
    let (mut together, mut single) = (Decoder::new(), Decoder::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest;
        let frame = together.push_bytes(&mut rest);
        let (last, first) = before[..before.len() - rest.len()]
            .split_last()
            .expect("a byte was taken");
        assert!(first.iter().all(|&byte| single.push(byte).is_none()));
        assert_eq!(single.push(*last), frame);
        assert!(frame.is_none() || *last == 0);
        match frame {
            Some(Ok(message)) => read(message),
            Some(Err(error)) => assert_ne!(error, FrameError::NotUnderstood),
            None => assert!(rest.is_empty()),
        }
    }
}

fn read(message: &[u8]) {
    let mut frame = [0; MAX_FRAME];
    let mut decoder = Decoder::new();
    if let Ok(request) = parse::<Request<'_>>(message) {
        assert_eq!(request_id(message), Some(request.id));
        let mut frame = encode(&request, &mut frame).expect("what came goes back");
        let again = decoder
            .push_bytes(&mut frame)
            .expect("ends")
            .expect("whole");
        assert!(again.len() <= message.len());
        assert_eq!(parse(again), Ok(request));
    }
    if let Ok(packet) = parse::<Packet<'_>>(message) {
        let mut frame = encode(&packet, &mut frame).expect("what came goes back");
        let again = decoder
            .push_bytes(&mut frame)
            .expect("ends")
            .expect("whole");
        assert!(again.len() <= message.len());
        assert_eq!(parse(again), Ok(packet));
    }
}
