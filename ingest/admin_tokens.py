"""Tokens in the admin: who may write, since when, last used when; a new one is shown once, and any can be revoked."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from .models import Scope, Token
from .tokens import NAME_CHARACTERS, TokenError, checked_name, create_token, revoke


class TokenForm(forms.ModelForm):
    name = forms.CharField(
        max_length=NAME_CHARACTERS, help_text="Who will use it, such as nas-worker. The ingest log shows it."
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.value}: {scope.label}") for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        help_text="What it may do.",
    )

    class Meta:
        model = Token
        fields = ("name", "scopes")

    def clean_name(self) -> str:
        try:
            return checked_name(self.cleaned_data["name"])
        except TokenError as error:
            raise ValidationError(str(error)) from error


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):
    list_display = ("name", "scope_names", "created_at", "last_used", "state")
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    form = TokenForm
    actions = ("revoke_selected",)

    @admin.display(description="scopes")
    def scope_names(self, token: Token) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="last used", ordering="last_used_at", empty_value="never")
    def last_used(self, token: Token) -> object:
        return token.last_used_at

    @admin.display(description="state", ordering="revoked_at")
    def state(self, token: Token) -> str:
        return "revoked" if token.revoked_at else "valid"

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "scopes")
        return ("name", "scope_names", "created_at", "last_used", "state", *(("revoked_at",) if obj.revoked_at else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        # The log names tokens, and a name that was free again could mean another one.
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("ingest.change_token")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None) -> HttpResponse:
        # The secret is the next page; one button leads there.
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, one_button | (extra_context or {}))

    def save_model(self, request: HttpRequest, token: Token, form: TokenForm, change: bool) -> None:
        request.new_secret = create_token(token.name, token.scopes)
        token.pk = Token.objects.get(name=token.name).pk

    def response_add(self, request: HttpRequest, token: Token, post_url_continue: str | None = None) -> HttpResponse:
        """The secret on a page that is the answer itself: a redirect would have to keep it in a cookie or a session."""
        context = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "title": f"Token {token.name}",
            "secret": request.new_secret,
        }
        return TemplateResponse(request, "admin/ingest/token/created.html", context)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Token]) -> HttpResponse | None:
        """Ask once; then refuse these tokens for good."""
        tokens = list(queryset.filter(revoked_at__isnull=True))
        if not tokens:
            self.message_user(request, "These tokens were revoked before.", messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {
                "opts": self.opts,
                "title": "Are you sure?",
                "tokens": tokens,
                "checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/ingest/token/revoke.html", context)
        number = revoke(Token.objects.filter(pk__in=[token.pk for token in tokens]))
        for token in tokens:
            self.log_change(request, token, "Revoked.")
        self.message_user(request, f"{number} {'token is' if number == 1 else 'tokens are'} revoked.", messages.SUCCESS)
        return None
