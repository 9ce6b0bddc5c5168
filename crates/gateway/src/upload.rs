//! Bodies that are too large to be held: their beginning is read, the rest passes.
//!
//! A call's body is what was read of it, its `upload` what is still to come. The rest can be sent once: as soon as a
//! candidate was sent any of it there is nobody else to ask. Where a form names its model behind its file, what comes
//! before that waits in a file without a name, not in memory.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyStream, Full};
use tachograph_reply::{ApiError, ErrorKind};
use tachograph_telemetry::Trip;

use crate::form::{Field, Form};

/// How much of an upload is read before it is sent, in bytes.
pub(crate) const BEGINNING: usize = 128 << 10;
/// The most of an upload that its record keeps, in bytes.
const KEPT: usize = 1 << 20;
/// A stored piece is read back in blocks of this many bytes.
const BLOCK: usize = 64 << 10;
/// How the media types begin of bodies that nobody needs whole.
const PASSING: [&str; 5] = ["multipart/", "audio/", "video/", "image/", "application/octet-stream"];

/// What is taken of uploads.
#[derive(Clone, Debug)]
pub struct Uploads {
    /// The largest that is taken, in bytes.
    pub most: u64,
    /// Where one waits whose model is named behind its file.
    pub folder: PathBuf,
}

/// Whether a body with these headers may pass without being held whole.
pub(crate) fn passes(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    PASSING.iter().any(|start| kind.get(..start.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(start)))
}

/// Why an upload did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadBroken {
    #[error("the client broke its upload off")]
    Client,
    #[error("the upload is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the upload could not be stored for a moment")]
    Storage,
    #[error("the upload has been sent to somebody else")]
    Spent,
}

impl From<UploadBroken> for ApiError {
    fn from(broken: UploadBroken) -> Self {
        match broken {
            UploadBroken::Client => Self::invalid("incomplete_body", "The request's body broke off before its end."),
            UploadBroken::TooLarge(most) => {
                let message =
                    format!("The upload is larger than {most} bytes, the gateway's max_upload; send less or raise it.");
                Self::new(ErrorKind::TooLarge, "request_too_large", message)
            }
            UploadBroken::Storage => {
                let message = "The upload names its model behind its file, and there is no room to keep it until then; put the field `model` first.";
                Self::new(ErrorKind::Internal, "upload_not_stored", message)
            }
            UploadBroken::Spent => {
                Self::new(ErrorKind::Upstream, "upload_spent", "The upload was sent once and cannot be sent again.")
            }
        }
    }
}

/// A model by its name, and where in the rest that stands.
pub(crate) type Named = (String, Option<Range<u64>>);
type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, UploadBroken>> + Send>>;

/// What of a body is still to come.
pub(crate) struct Upload {
    rest: Mutex<Pieces>,
    /// How long the rest is, where the client has said it.
    length: Option<u64>,
    /// How long the rest may be.
    most: u64,
    begun: AtomicBool,
    broken: Mutex<Option<UploadBroken>>,
    /// Tells the record what passes, and how much of it is to be kept.
    trip: Trip,
    keep: usize,
    /// Finds the model for the record, where the beginning did not name it.
    form: Mutex<Option<Form>>,
    passed: Mutex<u64>,
}

impl Upload {
    /// The rest of this body, of which `read` bytes have been read.
    pub(crate) fn new<B>(body: Pin<Box<B>>, read: usize, most: u64, trip: &Trip, keep: usize) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let length = body.size_hint().exact();
        let pieces = BodyStream::new(body).filter_map(|frame| {
            let piece = frame.map_err(|_| UploadBroken::Client).map(|frame| frame.into_data().ok());
            std::future::ready(piece.transpose())
        });
        Self {
            rest: Mutex::new(Box::pin(pieces)),
            length,
            most: most.saturating_sub(read as u64),
            begun: AtomicBool::new(false),
            broken: Mutex::new(None),
            trip: trip.clone(),
            keep: keep.min(KEPT),
            form: Mutex::new(None),
            passed: Mutex::new(0),
        }
    }

    /// Whether any of the rest has been sent, so that nobody else can be asked.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Why it did not come to its end, if it did not.
    pub(crate) fn broken(&self) -> Option<UploadBroken> {
        *lock(&self.broken)
    }

    fn passed(&self) -> u64 {
        *lock(&self.passed)
    }

    /// Waits for an answer for this long since any of the upload passed.
    pub(crate) async fn timeout<T>(&self, limit: Duration, answering: impl Future<Output = T>) -> Option<T> {
        let mut answering = std::pin::pin!(answering);
        loop {
            let passed = self.passed();
            match tokio::time::timeout(limit, answering.as_mut()).await {
                Ok(answered) => return Some(answered),
                Err(_) if self.passed() == passed => return None,
                Err(_) => {}
            }
        }
    }

    /// Has the record told of the model, when a field names it.
    pub(crate) fn watch(&self, form: Form) {
        *lock(&self.form) = Some(form);
    }

    /// Reads on until a field of the form names the model: its value, and where in the rest that stands, if it does not
    /// begin before it. What was read waits in a file of this folder until it is sent. `form` has read the `beginning`
    /// bytes that were read before.
    ///
    /// # Errors
    /// Where the body breaks off, is too large or cannot be stored.
    pub(crate) async fn model(
        &mut self,
        mut form: Form,
        beginning: usize,
        folder: &Path,
    ) -> Result<Option<Named>, ApiError> {
        let rest = self.rest.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut file = without_a_name(folder).map_err(|error| not_stored(&error))?;
        let (mut found, mut stored) = (None, 0);
        while let Some(piece) = rest.next().await {
            let piece = piece?;
            form.push(&piece, |field| found = found.take().or_else(|| (field.name == "model").then_some(field)));
            stored += piece.len() as u64;
            if stored > self.most {
                return Err(UploadBroken::TooLarge(self.most + beginning as u64).into());
            }
            in_place(|| file.write_all(&piece)).map_err(|error| not_stored(&error))?;
            if found.is_some() {
                break;
            }
        }
        file.rewind().map_err(|error| not_stored(&error))?;
        let live = std::mem::replace(rest, Box::pin(futures_util::stream::empty()));
        *rest = Box::pin(stored_pieces(file).chain(live));
        let before = beginning as u64;
        let place = |at: Range<u64>| Some(at.start.checked_sub(before)?..at.end.checked_sub(before)?);
        Ok(found.and_then(|field: Field| Some((String::from_utf8(field.value).ok()?, place(field.at)))))
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadBroken>>> {
        self.begun.store(true, Ordering::Release);
        let polled = ready!(lock(&self.rest).as_mut().poll_next(cx));
        let Some(piece) = polled else { return Poll::Ready(None) };
        let piece = piece.and_then(|piece| {
            let mut passed = lock(&self.passed);
            *passed += piece.len() as u64;
            if *passed > self.most { Err(UploadBroken::TooLarge(self.most)) } else { Ok(piece) }
        });
        match &piece {
            Ok(piece) => self.tell(piece),
            Err(broken) => *lock(&self.broken) = Some(*broken),
        }
        Poll::Ready(Some(piece))
    }

    fn tell(&self, piece: &Bytes) {
        let mut model = None;
        if let Some(form) = &mut *lock(&self.form) {
            form.push(piece, |field| model = model.take().or_else(|| (field.name == "model").then_some(field.value)));
        }
        self.trip.amend(|asked| {
            asked.body.push(piece, self.keep);
            if let (None, Some(model)) = (&asked.model, model) {
                asked.model = String::from_utf8(model).ok();
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_stored(error: &io::Error) -> ApiError {
    tracing::warn!(%error, "an upload could not be stored until its model is known");
    UploadBroken::Storage.into()
}

/// A file that is gone when it is closed, whatever becomes of the process.
fn without_a_name(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("upload-{}", uuid::Uuid::now_v7()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn stored_pieces(file: File) -> impl Stream<Item = Result<Bytes, UploadBroken>> + Send {
    futures_util::stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut block = vec![0; BLOCK];
        match in_place(|| file.read(&mut block)) {
            Ok(0) => None,
            Ok(read) => {
                block.truncate(read);
                Some((Ok(Bytes::from(block)), Some(file)))
            }
            Err(error) => {
                tracing::warn!(%error, "a stored upload could not be read back");
                Some((Err(UploadBroken::Storage), None))
            }
        }
    })
}

/// Lets others go on where there are other threads.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let pooled = tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if pooled { tokio::task::block_in_place(work) } else { work() }
}

/// What is sent behind the beginning.
pub(crate) struct Rest {
    pub(crate) upload: Arc<Upload>,
    /// What stands at a place in it, in the place of what stood there: the model's name.
    pub(crate) instead: Option<(Range<u64>, Bytes)>,
}

/// A request's body as it is sent.
pub(crate) enum Sent {
    /// There whole.
    Whole(Full<Bytes>),
    /// Its beginning, then the rest as it comes.
    Passing(Passing),
}

/// An upload on its way to one candidate.
pub(crate) struct Passing {
    beginning: Bytes,
    rest: Rest,
    at: u64,
    length: Option<u64>,
}

impl Sent {
    /// A body that is there whole.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::Whole(Full::new(body))
    }

    /// An upload.
    pub(crate) fn passing(beginning: Bytes, rest: Rest) -> Self {
        let length = rest.upload.length.map(|length| {
            let (out, new) = rest.instead.as_ref().map_or((0, 0), |(at, new)| (at.end - at.start, new.len() as u64));
            beginning.len() as u64 + length + new - out
        });
        Self::Passing(Passing { beginning, rest, at: 0, length })
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = UploadBroken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadBroken>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Passing(passing) => passing.poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Passing(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Passing(passing) => passing.length.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Passing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadBroken>>> {
        if !self.beginning.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.beginning))));
        }
        if self.at == 0 && self.rest.upload.passed() > 0 {
            return Poll::Ready(Some(Err(UploadBroken::Spent)));
        }
        let Some(piece) = ready!(self.rest.upload.poll_next(cx)) else { return Poll::Ready(None) };
        let Ok(piece) = piece else { return Poll::Ready(Some(piece)) };
        let from = self.at;
        self.at += piece.len() as u64;
        Poll::Ready(Some(Ok(match &self.rest.instead {
            Some((at, new)) => spliced(&piece, from, at, new),
            None => piece,
        })))
    }
}

/// A piece that begins at `from`, without what of it stands at `at`, and with `new` where that begins.
fn spliced(piece: &Bytes, from: u64, at: &Range<u64>, new: &Bytes) -> Bytes {
    let to = from + piece.len() as u64;
    if at.end <= from || at.start >= to {
        return piece.clone();
    }
    // Within the piece, and so within memory.
    let place = |position: u64| usize::try_from(position.clamp(from, to) - from).unwrap_or(piece.len());
    let begins_here = (from..to).contains(&at.start);
    let new: &[u8] = if begins_here { new } else { &[] };
    [&piece[..place(at.start)], new, &piece[place(at.end)..]].concat().into()
}
