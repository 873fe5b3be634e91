//! A lane: one target's requests. Bounded in flight, paced together, repeated where that is safe.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::event::{Event, Mark, Report};
use super::login::{Account, Token};
use crate::io::clock;
use crate::io::http::{HttpClient, SendError, SendErrorKind};
use crate::plan::observed::LiveList;
use crate::platform::exchange::{self, ApiError, Failure, RequestSpec};
use crate::platform::model::{Collection, Definition, ErrorClass, Method};
use crate::platform::object::Object;
use crate::secret::Redactor;

/// How often and how long a request is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Repetitions after the first attempt.
    pub retries: u32,
    /// The first pause, doubled each time.
    pub base: Duration,
    /// The longest pause of our own.
    pub cap: Duration,
    /// A longer wait that the API asks for is not waited for.
    pub longest_asked: Duration,
    /// All pauses of one request together.
    pub budget: Duration,
}

impl Patience {
    /// What users get unless they ask for something else.
    #[must_use]
    pub fn standard(retries: u32) -> Self {
        Self {
            retries,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(8),
            longest_asked: Duration::from_secs(60),
            budget: Duration::from_secs(90),
        }
    }
}

/// One target's requests.
pub struct Lane {
    /// The target's name.
    pub target: String,
    /// The rules of its platform.
    pub definition: Arc<Definition>,
    /// Requests in flight at most.
    pub parallelism: usize,
    /// The page size for lists without paging, if the target has its own.
    pub list_limit: Option<usize>,
    client: HttpClient,
    patience: Patience,
    places: Semaphore,
    pace: RefCell<Pace>,
    sent: Cell<u64>,
    known: Cell<usize>,
    account: Option<Account>,
    redactor: Redactor,
    clock_ahead: Cell<Option<i64>>,
    lists_started: Cell<u64>,
    lists: tokio::sync::Mutex<BTreeMap<String, (u64, Rc<LiveList>)>>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lane({})", self.target)
    }
}

/// A request that failed for good.
#[derive(Clone, Debug)]
pub struct CallError {
    /// The last failure.
    pub cause: CallFailure,
    /// `PATCH /connections/cn-…`
    pub request: String,
    /// How often it was sent.
    pub attempts: u32,
    /// Time from the first attempt to the last failure.
    pub elapsed: Duration,
    /// May the server have done what was asked, all the same?
    pub may_have_happened: bool,
    /// Was it the login, without which the request itself was never sent?
    pub is_login: bool,
}

/// The last failure of a request.
#[derive(Clone, Debug)]
pub enum CallFailure {
    /// The API answered.
    Api(ApiError),
    /// No answer came.
    Send(SendError),
}

impl CallError {
    /// Did the API say that it has no such address or method?
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.is_not_found() || (!self.is_login && matches!(&self.cause, CallFailure::Api(e) if e.status == 405))
    }

    /// Did the API say that there is no such object? A login that was not found says nothing about it.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        !self.is_login && matches!(&self.cause, CallFailure::Api(e) if e.class == Failure::Api(ErrorClass::NotFound))
    }
}

impl Lane {
    /// A lane over a client.
    #[must_use]
    pub fn new(
        target: &str,
        definition: Arc<Definition>,
        client: HttpClient,
        parallelism: usize,
        list_limit: Option<usize>,
        patience: Patience,
    ) -> Self {
        Self {
            target: target.to_owned(),
            definition,
            parallelism,
            list_limit,
            client,
            patience,
            places: Semaphore::new(parallelism),
            pace: RefCell::new(Pace::default()),
            sent: Cell::new(0),
            known: Cell::new(0),
            account: None,
            redactor: Redactor::default(),
            clock_ahead: Cell::new(None),
            lists_started: Cell::new(0),
            lists: tokio::sync::Mutex::default(),
        }
    }

    /// With an account that logs in by itself, instead of a credential in every request's headers.
    #[must_use]
    pub fn with_account(self, account: Account) -> Self {
        Self { account: Some(account), ..self }
    }

    /// With what knows the secrets: an API may echo what was sent.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// An object as it may be recorded and shown. A stamp is opaque, so one that holds a known secret does as well as a
    /// digest.
    #[must_use]
    pub fn tame(&self, mut object: Object) -> Object {
        // Looking for secrets is dear with thousands of them, and a time is none.
        let is_time = |stamp: &str| stamp.chars().all(|c| c.is_ascii_digit() || "TZ:+-. ".contains(c));
        if let Some(stamp) = object.watermark.as_mut().filter(|stamp| !is_time(stamp) && self.redactor.finds(stamp)) {
            *stamp = crate::state::digest("watermark", stamp);
        }
        object
    }

    /// By how many seconds our clock is ahead of the server's, as far as its last answer says.
    #[must_use]
    pub fn clock_ahead(&self) -> Option<i64> {
        self.clock_ahead.get()
    }

    /// The target's base URL.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.client.base_url()
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.client.timeout()
    }

    /// So many objects are known to be there.
    pub fn expect(&self, known: usize) {
        self.known.set(self.known.get().max(known));
    }

    /// How many objects are known to be there.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.known.get()
    }

    /// Requests sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.sent.get()
    }

    /// A list whose request leaves after this call: for APIs without a read of single objects. All who wait while one
    /// list is on its way share the next one, so that many writes do not cost as many lists.
    ///
    /// # Errors
    /// The request that failed for good.
    pub async fn list_after_now(
        &self,
        name: &str,
        collection: &Collection,
        report: &dyn Report,
    ) -> Result<Rc<LiveList>, CallError> {
        let ticket = self.lists_started.get();
        let mut lists = self.lists.lock().await;
        if let Some((number, list)) = lists.get(name)
            && *number > ticket
        {
            return Ok(Rc::clone(list));
        }
        let number = self.lists_started.get() + 1;
        self.lists_started.set(number);
        let list = Rc::new(LiveList::new(collection, super::reader::ReadLane::of(self).list(collection, report).await?));
        lists.insert(name.to_owned(), (number, Rc::clone(&list)));
        Ok(list)
    }

    /// Sends a request until it succeeds, fails for good, or may not be repeated.
    ///
    /// # Errors
    /// The last failure, with what is known about its effect.
    pub async fn call(&self, request: &RequestSpec, report: &dyn Report) -> Result<serde_json::Value, CallError> {
        self.call_for_location(request, report).await.map(|(json, _)| json)
    }

    /// The same, with the answer's `Location`: some APIs tell a new object's id nowhere else.
    ///
    /// # Errors
    /// As [`Lane::call`].
    pub async fn call_for_location(&self, request: &RequestSpec, report: &dyn Report) -> Result<Success, CallError> {
        let started = clock::instant();
        let mut waited = Duration::ZERO;
        let mut attempt = 1;
        let mut may_have_happened = false;
        loop {
            let (cause, retry, login) = match self.once(request, report).await {
                Ok(success) => return Ok(success),
                Err(Attempt { cause: CallFailure::Api(error), pause, login }) => {
                    let retry = may_retry(login.is_some() || request.idempotent, &error);
                    // A success that cannot be read may be one all the same.
                    let unreadable = matches!(error.class, Failure::NotJson(_) | Failure::Unexpected(_));
                    // A rule of the definition may know a 5xx for a refusal.
                    let failed = error.class == Failure::Api(ErrorClass::Transient) && error.status >= 500;
                    may_have_happened |= login.is_none() && is_write(request) && (unreadable || failed);
                    (CallFailure::Api(error), retry.then_some(pause), login)
                }
                Err(Attempt { cause: CallFailure::Send(error), login, .. }) => {
                    may_have_happened |= login.is_none() && error.may_have_arrived && is_write(request);
                    let retry = matches!(
                        error.kind,
                        SendErrorKind::Connect | SendErrorKind::Timeout | SendErrorKind::Broken | SendErrorKind::CutShort
                    ) && (login.is_some() || request.idempotent || !error.may_have_arrived);
                    (CallFailure::Send(error), retry.then_some(None), login)
                }
            };
            let is_login = login.is_some();
            if !is_login && !may_have_happened && is_write(request) {
                report.mark(&Mark::Refused);
            }
            let line = login.unwrap_or_else(|| request.line());
            let failed = |cause| CallError {
                cause,
                request: line.clone(),
                attempts: attempt,
                elapsed: started.elapsed(),
                may_have_happened,
                is_login,
            };
            let Some(asked) = retry.filter(|_| attempt <= self.patience.retries) else { return Err(failed(cause)) };
            let pause = asked.unwrap_or_else(|| self.backoff(attempt));
            if pause > self.patience.longest_asked || waited + pause > self.patience.budget {
                return Err(failed(cause));
            }
            attempt += 1;
            report.event(&Event::Retry {
                target: self.target.clone(),
                request: line,
                why: why(&cause),
                wait: pause,
                asked: asked.is_some(),
                attempt,
                of: self.patience.retries + 1,
            });
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let ceiling = self.patience.base.saturating_mul(1 << attempt.min(16)).min(self.patience.cap);
        ceiling.mul_f64(0.25 + 0.75 * clock::chance())
    }

    async fn once(&self, request: &RequestSpec, report: &dyn Report) -> Result<Success, Attempt> {
        let Some(account) = &self.account else { return self.exchange(request, None, report, false).await };
        let token = self.token(account, report).await?;
        match self.exchange(request, Some(&token), report, false).await {
            // It ended before its time, or a restarted server forgot it. What is refused so was not looked at.
            Err(Attempt { cause: CallFailure::Api(error), .. }) if error.class == Failure::Api(ErrorClass::Unauthorised) => {
                account.refused(&token);
                if is_write(request) {
                    report.mark(&Mark::Refused);
                }
                let token = self.token(account, report).await?;
                self.exchange(request, Some(&token), report, false).await
            }
            other => other,
        }
    }

    /// The token at hand, or a new one.
    async fn token(&self, account: &Account, report: &dyn Report) -> Result<Token, Attempt> {
        if let Some(token) = account.current() {
            return Ok(token);
        }
        let _turn = account.turn().await;
        if let Some(token) = account.current() {
            return Ok(token);
        }
        let request = account.request();
        let login = |attempt: Attempt| {
            if let CallFailure::Api(error) = &attempt.cause {
                account.failed(error);
            }
            Attempt { login: Some(request.line()), ..attempt }
        };
        if let Some(error) = account.refusal() {
            return Err(login(Attempt { cause: CallFailure::Api(error), pause: None, login: None }));
        }
        let (answer, _) = self.exchange(&request, None, report, true).await.map_err(login)?;
        account.accept(&answer).map_err(|missing| {
            login(Attempt { cause: CallFailure::Api(ApiError::unexpected(missing)), pause: None, login: None })
        })
    }

    async fn exchange(
        &self,
        request: &RequestSpec,
        token: Option<&Token>,
        report: &dyn Report,
        is_login: bool,
    ) -> Result<Success, Attempt> {
        let place = self.places.acquire().await;
        loop {
            let slot = self.pace.borrow_mut().slot(clock::instant());
            if slot.is_zero() {
                break;
            }
            // Another request was told to stay away for longer than anybody waits; asking again may lock the account.
            if slot > self.patience.longest_asked {
                let class = Failure::Api(ErrorClass::Throttled);
                let error = ApiError { class, status: 429, message: None, code: None };
                return Err(Attempt { cause: CallFailure::Api(error), pause: Some(slot), login: None });
            }
            tokio::time::sleep(slot).await;
        }
        self.sent.set(self.sent.get() + 1);
        report.mark(&Mark::Sending { is_write: is_write(request) && !is_login });
        let began = clock::instant();
        let answer = self.client.send(request, token.map(|token| (token.header.as_str(), &token.value))).await;
        report.event(&Event::Sent {
            target: self.target.clone(),
            request: request.line(),
            status: answer.as_ref().ok().map(|answer| answer.status),
            elapsed: began.elapsed(),
            id: answer.as_ref().ok().and_then(|answer| answer.request_id.clone()),
        });
        drop(place);
        let answer = answer.map_err(|e| Attempt { cause: CallFailure::Send(e), pause: None, login: None })?;
        if let Some(theirs) = answer.date {
            self.clock_ahead.set(Some(clock::now().as_second() - theirs.as_second()));
        }
        match exchange::read(&self.definition, &answer, &|text| self.redactor.scrub(text).into_owned()) {
            Ok(json) => {
                self.pace.borrow_mut().went_well();
                Ok((json, answer.location))
            }
            // `OK` is an answer to a write, if not a telling one; a page is none.
            Err(error)
                if matches!(error.class, Failure::NotJson(_))
                    && is_write(request)
                    && !answer.body.trim_ascii_start().starts_with(b"<") =>
            {
                self.pace.borrow_mut().went_well();
                Ok((serde_json::Value::Null, answer.location))
            }
            Err(error) => {
                if error.class == Failure::Api(ErrorClass::Throttled) {
                    self.pace.borrow_mut().throttled(clock::instant(), answer.retry_after);
                }
                Err(Attempt { cause: CallFailure::Api(error), pause: answer.retry_after, login: None })
            }
        }
    }
}

/// May it change anything? Some APIs list by POST; a [`ReadLane`](super::reader::ReadLane) knows better.
fn is_write(request: &RequestSpec) -> bool {
    request.method != Method::Get
}

/// The body of an answer, and its `Location`.
type Success = (serde_json::Value, Option<String>);

/// One attempt that failed, and the pause that the API asked for.
struct Attempt {
    cause: CallFailure,
    pause: Option<Duration>,
    /// The login that failed, if it did not come to the request itself.
    login: Option<String>,
}

/// May a request that was refused with this be sent again?
fn may_retry(idempotent: bool, error: &ApiError) -> bool {
    match error.class {
        // Refused before it was processed, so even a create may be sent again.
        Failure::Api(ErrorClass::Throttled) => true,
        Failure::Api(ErrorClass::Transient) => idempotent,
        _ => false,
    }
}

fn why(cause: &CallFailure) -> String {
    match cause {
        CallFailure::Api(error) => error.status.to_string(),
        CallFailure::Send(error) => match error.kind {
            SendErrorKind::Timeout => "no answer in time".into(),
            SendErrorKind::Connect => "cannot connect".into(),
            SendErrorKind::CutShort => "the answer broke off".into(),
            _ => "the connection broke".into(),
        },
    }
}

/// One pace for all requests of a target: none until the API says that there are too many, then as fast as it bears,
/// slower after each further refusal, faster again after a good run.
#[derive(Debug, Default)]
struct Pace {
    /// Time between two requests; zero for no limit.
    interval: Duration,
    next: Option<Instant>,
    first: Option<Instant>,
    successes: u32,
    streak: u32,
    slowed: Option<Instant>,
}

impl Pace {
    /// How long to wait before sending; zero takes the slot.
    fn slot(&mut self, now: Instant) -> Duration {
        self.first.get_or_insert(now);
        match self.next {
            Some(next) if next > now => next - now,
            _ => {
                self.next = (!self.interval.is_zero()).then(|| now + self.interval);
                Duration::ZERO
            }
        }
    }

    fn went_well(&mut self) {
        self.successes += 1;
        self.streak += 1;
        if self.streak >= 50 && !self.interval.is_zero() {
            self.interval = self.interval.mul_f64(0.85);
            self.streak = 0;
        }
    }

    fn throttled(&mut self, now: Instant, asked: Option<Duration>) {
        // Requests that were in flight together are refused together; they count as one refusal.
        let pause = asked.unwrap_or(Duration::from_millis(500));
        if self.slowed.is_some_and(|at| now < at) {
            return;
        }
        self.slowed = Some(now + pause.max(Duration::from_millis(100)));
        self.interval = if self.interval.is_zero() {
            let since = now.saturating_duration_since(self.first.unwrap_or(now));
            (since / self.successes.max(1)).mul_f64(1.5).clamp(Duration::from_millis(1), Duration::from_millis(500))
        } else {
            (self.interval * 2).min(Duration::from_secs(2))
        };
        self.streak = 0;
        self.next = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_slowed_until_the_api_complains() {
        let now = clock::instant();
        let mut pace = Pace::default();
        for _ in 0..1000 {
            assert_eq!(pace.slot(now), Duration::ZERO);
            pace.went_well();
        }
        assert_eq!(pace.interval, Duration::ZERO);
    }

    #[test]
    fn a_refusal_stops_everybody_for_as_long_as_asked_and_then_spaces_requests() {
        let now = clock::instant();
        let mut pace = Pace::default();
        assert_eq!(pace.slot(now), Duration::ZERO);
        pace.throttled(now, Some(Duration::from_secs(1)));
        assert_eq!(pace.slot(now), Duration::from_secs(1));
        let later = now + Duration::from_secs(1);
        assert_eq!(pace.slot(later), Duration::ZERO);
        assert_eq!(pace.slot(later), pace.interval);
    }

    #[test]
    fn refusals_of_one_burst_count_once_and_later_ones_double_the_gap() {
        let now = clock::instant();
        let mut pace = Pace::default();
        pace.slot(now);
        pace.throttled(now, Some(Duration::from_secs(1)));
        let gap = pace.interval;
        pace.throttled(now, Some(Duration::from_secs(1)));
        assert_eq!(pace.interval, gap);
        pace.throttled(now + Duration::from_secs(2), Some(Duration::from_secs(1)));
        assert_eq!(pace.interval, gap * 2);
    }

    #[test]
    fn a_good_run_speeds_up_again() {
        let now = clock::instant();
        let mut pace = Pace::default();
        pace.slot(now);
        pace.throttled(now, None);
        let gap = pace.interval;
        for _ in 0..50 {
            pace.went_well();
        }
        assert!(pace.interval < gap);
    }
}
