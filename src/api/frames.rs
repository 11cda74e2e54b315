//! Frames of a stream, as it arrives in parts of any length.

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{Encoding, FrameError, LONGEST};

/// How many bytes the length of a Protobuf frame takes.
const LENGTH: usize = 4;

/// What has arrived of a stream, and is cut into frames.
#[derive(Debug)]
pub struct Frames {
    encoding: Encoding,
    arrived: BytesMut,
    /// How much of it was searched for the end of a line, in vain.
    searched: usize,
}

impl Frames {
    /// Nothing has arrived yet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, arrived: BytesMut::new(), searched: 0 }
    }

    /// The next part of the stream.
    pub fn push(&mut self, part: &[u8]) {
        self.arrived.extend_from_slice(part);
    }

    /// Takes the first frame; `None` if it is not complete yet.
    ///
    /// # Errors
    /// What has arrived is not a sequence of frames.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self.encoding {
            Encoding::Json => self.line(),
            Encoding::Protobuf => frame(&mut self.arrived),
        }
    }

    /// What is left when the stream has ended.
    pub fn rest(self) -> Bytes {
        self.arrived.freeze()
    }

    /// The first line, without its end. Empty lines are skipped. The search continues where the
    /// last one ended: a line may arrive in many parts.
    fn line(&mut self) -> Result<Option<Bytes>, FrameError> {
        while let Some(end) = memchr::memchr(b'\n', &self.arrived[self.searched..]) {
            let line = self.arrived.split_to(self.searched + end).freeze();
            self.arrived.advance(1);
            self.searched = 0;
            if line.len() > LONGEST {
                return Err(FrameError::TooLong);
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
        self.searched = self.arrived.len();
        if self.searched > LONGEST {
            return Err(FrameError::TooLong);
        }
        Ok(None)
    }
}

fn frame(arrived: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = arrived.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > LONGEST {
        return Err(FrameError::TooLong);
    }
    if arrived.len() < LENGTH + length {
        arrived.reserve(LENGTH + length - arrived.len());
        return Ok(None);
    }
    arrived.advance(LENGTH);
    Ok(Some(arrived.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: &mut Frames) -> Vec<Bytes> {
        std::iter::from_fn(|| frames.take().unwrap()).collect()
    }

    #[test]
    fn a_stream_is_cut_into_the_same_frames_however_it_arrives() {
        let json = b"{\"a\": 1}\n\n{}\n{\"rest\"";
        let protobuf = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d\0\0";
        for length in 1..json.len() {
            let mut frames = Frames::new(Encoding::Json);
            let parts = json.chunks(length);
            let found: Vec<_> = parts
                .flat_map(|part| {
                    frames.push(part);
                    all(&mut frames)
                })
                .collect();
            assert_eq!(found, ["{\"a\": 1}", "{}"], "{length}");
            assert_eq!(frames.rest(), "{\"rest\"");
            let mut frames = Frames::new(Encoding::Protobuf);
            let found: Vec<_> = protobuf
                .chunks(length)
                .flat_map(|part| {
                    frames.push(part);
                    all(&mut frames)
                })
                .collect();
            assert_eq!(found, ["abc", "", "d"], "{length}");
            assert_eq!(frames.rest().len(), 2);
        }
    }

    /// Otherwise a line of 16 MiB in parts of 16 KiB is read a thousand times.
    #[test]
    fn each_byte_of_a_line_is_searched_once() {
        let mut frames = Frames::new(Encoding::Json);
        for part in 1..=1000 {
            frames.push(&[b' '; 16]);
            assert!(frames.take().unwrap().is_none());
            assert_eq!(frames.searched, 16 * part);
        }
        frames.push(b"{}\n  \n \n ");
        assert_eq!(frames.take().unwrap().unwrap().len(), 16_002);
        assert_eq!(frames.searched, 0, "of what follows, nothing was searched yet");
        assert_eq!(all(&mut frames), ["  ", " "]);
        assert_eq!(frames.searched, 1);
    }

    #[test]
    fn no_frame_is_longer_than_16_mib() {
        let mut protobuf = Frames::new(Encoding::Protobuf);
        protobuf.push(&[1, 0, 0, 0]);
        assert!(protobuf.take().unwrap().is_none(), "exactly 16 MiB");
        let mut protobuf = Frames::new(Encoding::Protobuf);
        protobuf.push(&[1, 0, 0, 1]);
        let error = protobuf.take().unwrap_err().to_string();
        assert!(error.starts_with("an event is longer than 16 MiB"), "{error}");
        let mut endless = Frames::new(Encoding::Json);
        endless.push(&vec![b' '; LONGEST]);
        assert!(endless.take().unwrap().is_none());
        endless.push(b" ");
        assert!(matches!(endless.take(), Err(FrameError::TooLong)));
        let mut long = Frames::new(Encoding::Json);
        long.push(&vec![b' '; LONGEST + 1]);
        long.push(b"\n");
        assert!(matches!(long.take(), Err(FrameError::TooLong)), "complete at once");
    }
}
