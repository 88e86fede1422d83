import pytest
def test_pages(page_of, alice, kept_file, announced_file, connection):
    m=kept_file(waveform=bytes(range(160)), caption="Olá roteador vermelho")
    w=announced_file(kind="video")
    c=page_of(alice)
    for u in ["/library","/library?q=rote&view=list","/library?q=marina de&kind=voice&received=7d&crm=none","/m/"+m.slug,"/m/"+w.slug,"/contacts","/contacts/"+__import__("acervo.base.ids").base.ids.text(m.person_id),"/integrations","/health","/me","/me/password","/sign-out"]:
        r=c.get(u); print(u, r.status_code, len(r.content)); assert r.status_code==200
        open("/tmp/pages"+u.replace("/","_").split("?")[0]+".html","wb").write(r.content)
    from django.test import Client
    r=Client().get("/sign-in"); assert r.status_code==200
    assert c.get("/nope").status_code==404
