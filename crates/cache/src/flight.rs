//! One call for several requests: its head and its pieces are kept while it is under way, and everybody reads them.
//!
//! Nothing drives a flight but those who wait for it: whoever is polled polls the inner call, and all are woken when it
//! moves. So if the one leaves who began it, the others go on without a hand-over, and if all leave, the call is dropped.

use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};

use crate::{Answer, CacheKey, Piece};

/// What looks at each piece as it comes, once, and gives it a mark that is kept with it.
pub type Marker = Box<dyn FnMut(&Bytes) -> u8 + Send>;

/// The call that is made.
pub type Asking<B> = Pin<Box<dyn Future<Output = Response<B>> + Send>>;

/// Why a body broke off; several may be told.
#[derive(Clone)]
pub struct Broken(pub Arc<dyn StdError + Send + Sync>);

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Broken {}

/// Who may be joined now, by key.
pub(crate) struct Flights<B>(Mutex<HashMap<CacheKey, Weak<Flight<B>>>>);

impl<B> Default for Flights<B> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// One call under way.
pub(crate) struct Flight<B> {
    state: Mutex<State<B>>,
    wakers: Arc<Wakers>,
    cap: usize,
    fingerprint: [u8; 32],
    started: Instant,
    joinable: Option<(CacheKey, Weak<Flights<B>>)>,
}

enum Source<B> {
    Asking(Asking<B>),
    Body(Pin<Box<B>>),
    Over(Option<Broken>),
}

struct State<B> {
    source: Source<B>,
    head: Option<Head>,
    marker: Option<Marker>,
    pieces: VecDeque<Piece>,
    /// So many pieces were let go in front of those that are held.
    gone: usize,
    held: usize,
    /// Everything that came is held, and nothing came that cannot be.
    whole: bool,
    /// Who waits, and how many pieces each has read.
    seats: Vec<(u64, usize)>,
    next: u64,
    /// Who answers for the call.
    payer: u64,
    billed: bool,
}

#[derive(Clone)]
struct Head {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
}

/// All who wait, woken together.
#[derive(Default)]
struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        let waiting = std::mem::take(&mut *lock(&self.0));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Wakers {
    fn add(&self, seat: u64, waker: &Waker) {
        let mut waiting = lock(&self.0);
        match waiting.iter_mut().find(|(other, _)| *other == seat) {
            Some((_, held)) => held.clone_from(waker),
            None => waiting.push((seat, waker.clone())),
        }
    }
}

/// A panic inside costs the one who met it; what is held is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Flights<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// A seat in the flight of this key, whose asking is begun where there is none. `Err` where the flight of this key is
    /// another request's.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: Option<CacheKey>,
        fingerprint: [u8; 32],
        cap: usize,
        ask: impl FnOnce() -> Asking<B>,
    ) -> Result<(Seat<B>, bool), ()> {
        let Some(key) = key else {
            return Ok((Flight::begin(ask(), fingerprint, cap, None), false));
        };
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(&key).and_then(Weak::upgrade) {
            if flight.fingerprint != fingerprint {
                return Err(());
            }
            if let Some(seat) = flight.join() {
                return Ok((seat, true));
            }
        }
        let seat = Flight::begin(ask(), fingerprint, cap, Some((key, Arc::downgrade(self))));
        flights.insert(key, Arc::downgrade(&seat.flight));
        Ok((seat, false))
    }
}

impl<B> Drop for Flight<B> {
    fn drop(&mut self) {
        let Some((key, flights)) = self.joinable.take() else { return };
        let Some(flights) = flights.upgrade() else { return };
        let mut flights = lock(&flights.0);
        // Another may have taken its place meanwhile.
        if flights.get(&key).is_some_and(|flight| flight.strong_count() == 0) {
            flights.remove(&key);
        }
    }
}

impl<B> Flight<B> {
    fn begin(
        asking: Asking<B>,
        fingerprint: [u8; 32],
        cap: usize,
        joinable: Option<(CacheKey, Weak<Flights<B>>)>,
    ) -> Seat<B> {
        let state = State {
            source: Source::Asking(asking),
            head: None,
            marker: None,
            pieces: VecDeque::new(),
            gone: 0,
            held: 0,
            whole: true,
            seats: vec![(0, 0)],
            next: 1,
            payer: 0,
            billed: false,
        };
        let flight = Self {
            state: Mutex::new(state),
            wakers: Arc::default(),
            cap,
            fingerprint,
            started: Instant::now(),
            joinable,
        };
        Seat { flight: Arc::new(flight), number: 0, read: 0 }
    }

    /// One more who waits; none where a part of the answer is gone already, or it broke off.
    fn join(self: &Arc<Self>) -> Option<Seat<B>> {
        let mut state = lock(&self.state);
        if !state.whole || state.seats.is_empty() || matches!(state.source, Source::Over(Some(_))) {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.seats.push((number, 0));
        Some(Seat { flight: self.clone(), number, read: 0 })
    }

    fn us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl<B> State<B> {
    fn position(&mut self, number: u64, read: usize) {
        if let Some(seat) = self.seats.iter_mut().find(|(seat, _)| *seat == number) {
            seat.1 = read;
        }
    }

    fn slowest(&self) -> usize {
        self.seats.iter().map(|(_, read)| *read).min().unwrap_or(self.gone + self.pieces.len())
    }

    /// Past the cap, pieces that all have read are let go, and the answer is kept no more.
    fn trim(&mut self, cap: usize) {
        if self.held <= cap && self.whole {
            return;
        }
        self.whole = false;
        let all_read = self.slowest();
        while self.gone < all_read
            && let Some(piece) = self.pieces.pop_front()
        {
            self.held -= piece.data.len();
            self.gone += 1;
        }
    }
}

/// A place in a flight: the head, then the body.
pub struct Seat<B> {
    flight: Arc<Flight<B>>,
    number: u64,
    read: usize,
}

/// Looks at a flight from outside, without a part in it.
pub struct Watch<B> {
    flight: Arc<Flight<B>>,
    number: u64,
}

impl<B> Seat<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Waits for the head. Each who waits has its own copy of headers and extensions; `marks` says, for the first of them,
    /// what looks at the pieces.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        marks: impl FnOnce(&Response<()>) -> Option<Marker>,
    ) -> Poll<Response<()>> {
        let mut state = lock(&self.flight.state);
        if let Some(head) = &state.head {
            return Poll::Ready(head.response());
        }
        self.flight.wakers.add(self.number, cx.waker());
        let waker = Waker::from(self.flight.wakers.clone());
        let Source::Asking(asking) = &mut state.source else { return Poll::Pending };
        let Poll::Ready(response) = asking.as_mut().poll(&mut Context::from_waker(&waker)) else {
            return Poll::Pending;
        };
        let (parts, body) = response.into_parts();
        let head =
            Head { status: parts.status, version: parts.version, headers: parts.headers, extensions: parts.extensions };
        let response = head.response();
        state.marker = marks(&response);
        state.source = Source::Body(Box::pin(body));
        state.head = Some(head);
        drop(state);
        waker.wake();
        Poll::Ready(response)
    }
}

impl Head {
    fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        response.headers_mut().clone_from(&self.headers);
        response.extensions_mut().clone_from(&self.extensions);
        response
    }
}

impl<B> Seat<B> {
    /// Looks at the flight for as long as is wanted.
    pub fn watch(&self) -> Watch<B> {
        Watch { flight: self.flight.clone(), number: self.number }
    }
}

impl<B> Watch<B> {
    /// Whether it is this seat that answers for the call: the one that began it, or its heir if that one left early.
    #[must_use]
    pub fn pays(&self) -> bool {
        lock(&self.flight.state).payer == self.number
    }

    /// The call is accounted for: nobody inherits it.
    pub fn settle(&self) {
        lock(&self.flight.state).billed = true;
    }

    /// The mark of a piece, counted from 0.
    #[must_use]
    pub fn mark(&self, index: usize) -> u8 {
        let state = lock(&self.flight.state);
        index.checked_sub(state.gone).and_then(|index| state.pieces.get(index)).map_or(0, |piece| piece.mark)
    }

    /// What came so far, to be kept: of status 200, and everything that came. The caller judges whether that is all.
    #[must_use]
    pub fn answer(&self, facts: Bytes) -> Option<Answer> {
        let state = lock(&self.flight.state);
        let head = state.head.as_ref().filter(|head| head.status == StatusCode::OK)?;
        let broke = matches!(state.source, Source::Over(Some(_)) | Source::Asking(_));
        (state.whole && !broke).then(|| Answer {
            headers: Answer::lasting(&head.headers),
            pieces: state.pieces.iter().cloned().collect(),
            took_us: state.pieces.back().map_or_else(|| self.flight.us(), |piece| piece.at_us),
            expires_ms: 0,
            fingerprint: self.flight.fingerprint,
            facts,
        })
    }
}

impl<B: Body> Watch<B> {
    /// Whether the body came to its end, and in good order; also where nobody has asked behind its last piece.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &lock(&self.flight.state).source {
            Source::Over(broken) => broken.is_none(),
            Source::Body(body) => body.is_end_stream(),
            Source::Asking(_) => false,
        }
    }
}

impl<B> Body for Seat<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let flight = &this.flight;
        let mut guard = lock(&flight.state);
        let state = &mut *guard;
        loop {
            if let Some(piece) = state.pieces.get(this.read.saturating_sub(state.gone)) {
                let data = piece.data.clone();
                this.read += 1;
                state.position(this.number, this.read);
                let was_full = state.held > flight.cap;
                state.trim(flight.cap);
                if was_full && state.held <= flight.cap {
                    drop(guard);
                    flight.wakers.clone().wake();
                }
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            flight.wakers.add(this.number, cx.waker());
            let body = match &mut state.source {
                Source::Over(None) => return Poll::Ready(None),
                Source::Over(Some(broken)) => return Poll::Ready(Some(Err(broken.clone()))),
                Source::Asking(_) => return Poll::Pending,
                // Past the cap it waits for whoever is slowest.
                Source::Body(_) if state.held > flight.cap => return Poll::Pending,
                Source::Body(body) => body,
            };
            let waker = Waker::from(flight.wakers.clone());
            let Poll::Ready(frame) = body.as_mut().poll_frame(&mut Context::from_waker(&waker)) else {
                return Poll::Pending;
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let mark = state.marker.as_mut().map_or(0, |marker| marker(&data));
                        state.held += data.len();
                        state.pieces.push_back(Piece { at_us: flight.us(), mark, data });
                        if state.held > flight.cap {
                            state.whole = false;
                        }
                    }
                    // Trailers: nobody who asks for JSON or events reads them, and they cannot be told again.
                    Err(_) => state.whole = false,
                },
                Some(Err(error)) => state.source = Source::Over(Some(Broken(Arc::from(error.into())))),
                None => state.source = Source::Over(None),
            }
            flight.wakers.clone().wake();
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.flight.state);
        let all_read = self.read >= state.gone + state.pieces.len();
        all_read
            && match &state.source {
                Source::Over(broken) => broken.is_none(),
                Source::Body(body) => body.is_end_stream(),
                Source::Asking(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.flight.state);
        let left = match &state.source {
            Source::Over(_) => Some(0),
            Source::Body(body) => body.size_hint().exact(),
            Source::Asking(_) => None,
        };
        let unread = state.pieces.iter().skip(self.read.saturating_sub(state.gone));
        let unread: u64 = unread.map(|piece| piece.data.len() as u64).sum();
        left.map_or_else(SizeHint::default, |left| SizeHint::with_exact(left + unread))
    }
}

impl<B> Drop for Seat<B> {
    fn drop(&mut self) {
        let mut state = lock(&self.flight.state);
        state.seats.retain(|(seat, _)| *seat != self.number);
        if state.payer == self.number
            && !state.billed
            && let Some((heir, _)) = state.seats.first()
        {
            state.payer = *heir;
        }
        let ended = if state.seats.is_empty() {
            // Nobody waits any more: the call is dropped here, however long somebody looks on.
            match &state.source {
                Source::Over(_) => None,
                Source::Asking(_) | Source::Body(_) => Some(std::mem::replace(&mut state.source, Source::Over(None))),
            }
        } else {
            None
        };
        if ended.is_some() {
            state.whole &= state.billed;
        }
        drop(state);
        drop(ended);
        // Whoever waited for the slowest may go on.
        self.flight.wakers.clone().wake();
    }
}
